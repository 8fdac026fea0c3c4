// A French horn in brass on dark cloth: coils, valves, bell.
vec3 sky(vec3 d) {
  float window = smoothstep(.32, .3, abs(d.x + .45)) * smoothstep(.45, .42, abs(d.y - .5)) * step(.02, abs(d.x + .45)) * step(d.z, .3);
  return mix(vec3(.16, .12, .1), vec3(.5, .44, .38), smoothstep(-.4, .9, d.y)) + window * vec3(2.4, 2.3, 2.1);
}
vec3 haze(vec3 d) { return sky(vec3(d.x, .02, d.z)); }
vec2 map(vec3 p) {
  vec2 m = vec2(min(p.y + 1.9 + .02 * fbm(p.xz * 2.), 2.2 - p.z + .05 * fbm(p.xy * 1.3)), 1.);
  p.xz *= turn(.32); p.yz *= turn(-.16);
  float d = ring(p, 1.02, .062);
  d = min(d, ring(p - vec3(.04, .03, .13), .9, .058));
  d = min(d, ring(p - vec3(-.02, .06, -.12), .78, .055));
  d = min(d, ring(p - vec3(.1, -.06, .05), .6, .05));
  // The bell: it leaves the coil at the bottom and flares to the right.
  vec3 axis = normalize(vec3(.93, -.2, -.34)), b = p - vec3(-.38, -.93, .02);
  float y = dot(b, axis), r = length(b - y * axis), t = clamp(y / 1.62, 0., 1.);
  float flare = .06 + .16 * t * t + .4 * pow(t, 6.);
  d = min(d, max(abs(r - flare) * .5 - .014, abs(y - .81) - .81));
  d = min(d, length(vec2(r - .62, y - 1.62)) - .026);
  // Valves and slides in the middle.
  for (int i = 0; i < 3; i++) {
    vec3 v = p - vec3(-.34 + .24 * float(i), .1 - .1 * float(i), -.1);
    d = min(d, cylinder(v, .105, .17));
    vec3 s = p - vec3(-.3 + .22 * float(i), -.28 - .05 * float(i), -.06);
    vec3 u = vec3(s.x, max(-s.y - .2, 0.) + min(0., .2 - abs(s.y)) * 0., s.z);
    d = min(d, min(capsule(vec3(abs(s.x) - .06, s.yz), vec3(0, -.2, 0), vec3(0, .26, 0), .034), ring(s + vec3(0, .2, 0), .06, .034)));
    vec3 k = p - vec3(-.86 + .03 * float(i), .42 - .16 * float(i), -.2);
    d = min(d, min(box(k, vec3(.1, .045, .018), .018), capsule(p, vec3(-.8 + .03 * float(i), .42 - .16 * float(i), -.19), vec3(-.36 + .24 * float(i), .1 - .1 * float(i), -.2), .018)));
  }
  // Lead pipe and mouthpiece.
  d = min(d, capsule(p, vec3(-.7, .74, .0), vec3(-1.42, 1.08, -.28), .04));
  d = min(d, capsule(p, vec3(-1.42, 1.08, -.28), vec3(-1.55, 1.14, -.33), .065));
  return join(m, vec2(d * .85, 2.));
}
Surface shade(vec3 p, vec3 n, float m) {
  if (m < 1.5) return Surface(mix(vec3(.1, .018, .03), vec3(.2, .03, .05), fbm(p.xy * 1.5 + p.z)) * (.9 + .15 * noise(p.xz * 90.)), .02, 0.);
  return Surface(vec3(.98, .68, .26), .9, .72);
}
void view(out vec3 e, out vec3 a, out float z) { e = vec3(.1, .45, -4.9); a = vec3(.06, -.3, 0); z = 2.28; }
