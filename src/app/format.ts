// Numbers as people read them: bytes in decimal units, milliseconds, shares, ratios. Pure functions.

/** 0 B, 873 B, 12.4 kB, 1.20 MB: three significant digits, decimal units as browsers show them. */
export function bytes(n: number): string {
  if (n < 1000) return `${Math.round(n)} B`;
  if (n < 999_500) return `${significant(n / 1e3)} kB`;
  return `${significant(n / 1e6)} MB`;
}

/** 0.42 ms, 12.3 ms, 873 ms, 1.24 s */
export function ms(n: number): string {
  return n < 999.5 ? `${significant(n)} ms` : `${significant(n / 1e3)} s`;
}

/** 97.3 %, 0.04 %, < 0.01 %, > 99.9 % for a share of 0…1: nothing is rounded to certainty. */
export function percent(share: number): string {
  if (share > 0 && share < 0.0001) return '< 0.01 %';
  if (share < 1 && share >= 0.9995) return '> 99.9 %';
  return `${share === 1 ? '100' : significant(share * 100)} %`;
}

/** How many times `n` is of `base`: 8.3×, 0.42×; a dash when there is nothing to compare with. */
export function ratio(n: number, base: number): string {
  if (base <= 0) return '–';
  return `${n < base / 10 ? (n / base).toFixed(3) : significant(n / base, 2)}×`;
}

/** Plain digits, never an exponent. */
function significant(n: number, digits = 3): string {
  if (n === 0) return '0';
  const whole = Math.floor(Math.log10(Math.abs(n))) + 1;
  return n.toFixed(Math.min(3, Math.max(0, digits - Math.max(whole, 1))));
}
