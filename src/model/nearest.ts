// Names that resemble a mistyped one, for error messages. Knows nothing of models.

/** Edit distance of two strings, given up (as `limit + 1`) once it must exceed `limit`. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, row[j]! + 1, next[j - 1]! + 1));
    }
    if (Math.min(...next) > limit) return limit + 1;
    row = next;
  }
  return row[b.length]!;
}

/** Up to `count` of `names` that contain `name`, are contained in it, or are a few letters away; best first. */
export function nearest(name: string, names: readonly string[], count = 3): string[] {
  const limit = Math.max(2, Math.floor(name.length / 3));
  const low = name.toLowerCase();
  return names
    .map((candidate) => {
      const other = candidate.toLowerCase();
      const within = low.length > 2 && (other.includes(low) || low.includes(other));
      return {
        candidate,
        score: within ? Math.abs(other.length - low.length) / 100 : distance(low, other, limit),
      };
    })
    .filter(({ score }) => score <= limit)
    .sort((a, b) => a.score - b.score || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, count)
    .map(({ candidate }) => candidate);
}
