// A red petrol pump with its hose and nozzle on a forecourt.
vec3 sky(vec3 d) {
  vec3 hills = mix(vec3(.16, .24, .12), vec3(.3, .36, .2), fbm(d.xy * 8.));
  return mix(hills, clouds(d, vec3(.74, .84, .93), vec3(.2, .45, .8)), smoothstep(.03, .06, d.y - .06 * fbm(d.xx * 5. + 2.)));
}
vec3 haze(vec3 d) { return sky(vec3(d.x, .02, d.z)); }
float hose(vec3 p) {
  float best = 9.; vec3 a = vec3(.62, 2.25, 0);
  for (int i = 1; i <= 18; i++) {
    float t = float(i) / 18.;
    vec3 b = mix(vec3(.62, 2.25, 0), vec3(.66, 1.5, -.22), t) + vec3(.42 * sin(3.14159 * t), -1.75 * sin(3.14159 * t) * (1. - .3 * t), -.1 * sin(3.14159 * t));
    best = min(best, capsule(p, a, b, .04)); a = b;
  }
  return best;
}
vec2 map(vec3 p) {
  vec2 m = vec2(p.y, 1.);
  m = join(m, vec2(box(p - vec3(0, .08, 0), vec3(1.1, .09, .62), .03), 2.));
  m = join(m, vec2(box(p - vec3(0, 1.28, 0), vec3(.6, 1.12, .36), .05), 3.));
  m = join(m, vec2(box(p - vec3(0, 2.62, 0), vec3(.66, .22, .4), .06), 4.));
  m = join(m, vec2(box(p - vec3(0, 1.92, -.345), vec3(.47, .32, .03), .02), 5.));
  m = join(m, vec2(box(p - vec3(0, 1.18, -.35), vec3(.44, .28, .02), .02), 6.));
  m = join(m, vec2(hose(p), 7.));
  m = join(m, vec2(box(p - vec3(.66, 1.52, -.05), vec3(.07, .24, .16), .03), 8.));
  vec3 n = p - vec3(.7, 1.56, -.28); n.yz *= turn(.5);
  float noz = min(box(n, vec3(.055, .09, .17), .03), capsule(n, vec3(0, .03, -.1), vec3(0, .12, -.42), .028));
  noz = min(noz, max(ring(n.zyx - vec3(.02, -.14, 0), .1, .018), n.y));
  return join(m, vec2(noz, 7.));
}
Surface shade(vec3 p, vec3 n, float m) {
  if (m < 1.5) return Surface(vec3(.3, .3, .29) * (.75 + .4 * fbm(p.xz * 4.)) * (.9 + .1 * noise(p.xz * 60.)), .06, 0.);
  if (m < 2.5) return Surface(vec3(.62, .6, .56) * (.9 + .15 * noise(p.xz * 30.)), .05, 0.);
  if (m < 3.5) return Surface(p.y < .5 || p.y > 2.3 ? vec3(.75, .74, .72) : vec3(.66, .035, .03), .4, 0.);
  if (m < 4.5) {
    float band = step(.05, abs(p.y - 2.62));
    return Surface(mix(vec3(.95, .75, .1), vec3(.8, .79, .76), band), .3, 0.);
  }
  if (m < 5.5) {
    vec2 q = p.xy - vec2(0, 1.92);
    float row = step(abs(q.x), .34) * (step(abs(q.y - .16), .085) + step(abs(q.y + .06), .085) + step(abs(q.y + .23), .05) * step(abs(q.x), .2));
    float digit = step(.3, fract(q.x * 11.)) * step(.25, hash(floor(vec2(q.x * 33., q.y * 40.))));
    return Surface(mix(vec3(.09, .1, .11), mix(vec3(.55, .62, .5), vec3(.06, .08, .06), digit), row), .5, 0.);
  }
  if (m < 6.5) {
    vec2 q = p.xy - vec2(0, 1.18); float k = floor((q.x + .44) / .293);
    vec3 c = k < .5 ? vec3(.9, .7, .08) : k < 1.5 ? vec3(.1, .45, .2) : vec3(.1, .22, .6);
    float plate = step(abs(fract((q.x + .44) / .293) - .5), .4) * step(abs(q.y), .22);
    float mark = step(abs(q.y - .02), .07) * step(abs(fract((q.x + .44) / .293) - .5), .2);
    return Surface(mix(vec3(.86), mix(c, vec3(.95), mark), plate), .3, 0.);
  }
  if (m < 7.5) return Surface(vec3(.025), .35, 0.);
  return Surface(vec3(.5), .3, .3);
}
void view(out vec3 e, out vec3 a, out float z) { e = vec3(2.3, 1.9, -5.4); a = vec3(.12, 1.42, 0); z = 2.6; }
