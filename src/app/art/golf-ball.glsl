// A golf ball on a tee, low sun, grass going out of focus.
vec3 sky(vec3 d) {
  vec3 trees = mix(vec3(.05, .12, .03), vec3(.16, .28, .08), fbm(d.xy * 9.));
  return mix(trees, clouds(d, vec3(.62, .76, .9), vec3(.22, .45, .8)), smoothstep(.10, .20, d.y + .05 * fbm(d.xx * 14.)));
}
vec3 haze(vec3 d) { return sky(vec3(d.x, .02, d.z)); }
float dimples(vec3 n) {
  // Nearest point of a Fibonacci sphere of 330 dimples, searched around the latitude of n.
  const float N = 330.; float best = 4.;
  float i0 = (1. - n.y) * .5 * N;
  for (int k = -44; k <= 44; k++) {
    float i = floor(i0) + float(k) + .5; if (i < 0. || i > N) continue;
    float y = 1. - 2. * i / N, r = sqrt(max(0., 1. - y * y)), a = 2.399963 * i;
    vec3 q = vec3(cos(a) * r, y, sin(a) * r) - n; best = min(best, dot(q, q));
  }
  return smoothstep(.088, .03, sqrt(best));
}
vec2 map(vec3 p) {
  float g = p.y + .04 * fbm(p.xz * 3.) + .035 * noise(vec2(p.x * 60., p.z * 9.)) + .03 * noise(p.zx * vec2(24., 70.));
  vec2 m = vec2(g * .7, 1.);
  vec3 q = p - vec3(0, .86, 0); float s = length(q) - .62;
  if (s < .06) s += .018 * dimples(normalize(q));
  m = join(m, vec2(s, 2.));
  float tee = max(length(p.xz) - mix(.05, .17, smoothstep(.02, .28, p.y)), p.y - .27);
  return join(m, vec2(tee * .7, 3.));
}
Surface shade(vec3 p, vec3 n, float m) {
  if (m < 1.5) {
    float blade = noise(vec2(p.x * 70., p.z * 12.)) * .6 + noise(p.xz * vec2(22., 60.)) * .4;
    return Surface(mix(vec3(.03, .11, .012), vec3(.2, .42, .06), blade) * mix(.7, 1.2, fbm(p.xz * 2.)), .03, 0.);
  }
  if (m < 2.5) return Surface(vec3(.84, .84, .82), .5, 0.);
  return Surface(vec3(.75, .5, .2), .15, 0.);
}
void view(out vec3 e, out vec3 a, out float z) { e = vec3(-.9, 1.15, -3.1); a = vec3(.06, .78, 0); z = 1.95; }
