// A striped round canopy under a summer sky, its jumper below.
vec3 sky(vec3 d) { return clouds(d, vec3(.6, .78, .95), vec3(.09, .3, .75)); }
vec3 haze(vec3 d) { return sky(vec3(d.x, .02, d.z)); }
vec2 map(vec3 p) {
  vec3 q = p - vec3(0, 1.0, 0);
  float a = atan(q.z, q.x), gore = abs(sin(a * 8.));
  float R = 1.9 + .05 * gore;
  vec3 e = q * vec3(1, 1.45, 1);
  float shell = abs(length(e) - R) * .62 - .012;
  shell = max(shell, -q.y + .03 * gore - .12);
  shell = max(shell, .16 - length(q.xz));
  vec2 m = vec2(shell, 1.);
  float sector = 6.2831853 / 16.;
  float b = mod(a, sector) - sector * .5;
  vec3 l = vec3(length(q.xz) * cos(b), q.y, length(q.xz) * sin(b));
  m = join(m, vec2(capsule(l, vec3(1.88, -.1, 0), vec3(.1, -2.6, 0), .009), 2.));
  vec3 j = p - vec3(0, -1.85, 0); j.xz *= turn(.5);
  float body = capsule(j, vec3(0, .05, 0), vec3(0, -.28, 0), .13);
  body = min(body, capsule(vec3(abs(j.x), j.yz), vec3(.06, -.35, 0), vec3(.1, -.66, .16), .065));
  body = min(body, capsule(vec3(abs(j.x), j.yz), vec3(.1, .1, 0), vec3(.2, .5, 0), .045));
  m = join(m, vec2(body, 3.));
  return join(m, vec2(length(j - vec3(0, .27, .02)) - .1, 4.));
}
Surface shade(vec3 p, vec3 n, float m) {
  if (m < 1.5) {
    float k = mod(floor((atan(p.z, p.x) / 6.2831853 + .5) * 16.), 4.);
    vec3 c = k < .5 ? vec3(.75, .05, .04) : k < 1.5 ? vec3(.85, .84, .8) : k < 2.5 ? vec3(.9, .45, .03) : vec3(.85, .84, .8);
    float seam = abs(fract((p.y - 1.) * 4.5) - .5);
    return Surface(c * (.82 + .2 * smoothstep(0., .06, seam)) * (n.y < -.1 ? .75 : 1.), .08, 0.);
  }
  if (m < 2.5) return Surface(vec3(.8), .1, 0.);
  if (m < 3.5) return Surface(vec3(.07, .09, .14), .1, 0.);
    return Surface(vec3(.6, .1, .06), .5, 0.);
}
void view(out vec3 e, out vec3 a, out float z) { e = vec3(-2.6, -2.7, -6.6); a = vec3(0, .2, 0); z = 2.15; }
