// A white village church with a slate spire on a summer meadow.
vec3 sky(vec3 d) { return clouds(d, vec3(.72, .84, .95), vec3(.12, .35, .75)); }
vec3 haze(vec3 d) { return sky(vec3(d.x, .02, d.z)); }
float gable(vec3 p, float w, float h, float l) { return max(max(dot(vec2(abs(p.x) - w, p.y), normalize(vec2(h, w))), -p.y), abs(p.z) - l); }
float arch(vec2 p, float w, float h) { p.x = abs(p.x); return p.y > h ? length(p - vec2(0, h)) - w : max(p.x - w, max(-p.y, p.y - h - w)); }
vec2 map(vec3 p) {
  vec2 m = vec2((p.y + .1 * fbm(p.xz * .6) + .02 * noise(p.xz * 22.)) * .8, 1.);
  vec3 q = p - vec3(0, 0, 1.1);
  float nave = box(q - vec3(0, .8, 1.2), vec3(1.05, .82, 1.9), .01);
  float side = arch(vec2(mod(q.z + .1, .9) - .45, q.y - .6), .15, .45);
  nave = max(nave, -max(side, .99 - abs(q.x)));
  m = join(m, vec2(nave, 2.));
  m = join(m, vec2(gable(q - vec3(0, 1.6, 1.2), 1.2, 1.05, 2.), 3.));
  float tower = box(p - vec3(0, 1.45, .25), vec3(.52, 1.5, .52), .01);
  float door = arch(vec2(p.x, p.y), .24, .55), bell = arch(vec2(p.x, p.y - 2.15), .16, .34), bell2 = arch(vec2(p.z - .25, p.y - 2.15), .16, .34);
  tower = max(tower, -max(min(door, bell), p.z + .21));
  tower = max(tower, -max(bell2, .46 - abs(p.x)));
  m = join(m, vec2(tower, 2.));
  m = join(m, vec2(min(box(p - vec3(0, 2.96, .25), vec3(.58, .05, .58), .01), box(p - vec3(0, 1.85, .25), vec3(.56, .035, .56), .01)), 4.));
  vec3 s = p - vec3(0, 3., .25); s.xz = abs(s.xz);
  m = join(m, vec2(max(dot(vec2(max(s.x, s.z) - .52, s.y), normalize(vec2(1.9, .52))), -s.y) * .95, 3.));
  vec3 c = p - vec3(0, 5.08, .25);
  m = join(m, vec2(min(box(c, vec3(.025, .24, .025), .005), box(c - vec3(0, .06, 0), vec3(.13, .025, .025), .005)), 5.));
  vec3 t = p; t.x = abs(t.x) - 3.3; t.z -= 3.4 + .6 * sign(p.x);
  m = join(m, vec2((length((t - vec3(0, 1.35, 0)) * vec3(1, .85, 1)) - 1.15 - .32 * fbm(t.xy * 3.4 + t.z * 2.3)) * .6, 6.));
  return join(m, vec2(capsule(t, vec3(0), vec3(0, .8, 0), .12), 7.));
}
Surface shade(vec3 p, vec3 n, float m) {
  if (m < 1.5) {
    float path = smoothstep(.34, .26, abs(p.x + .12 * sin(p.z * 1.2))) * step(p.z, -.2);
    vec3 g = mix(vec3(.06, .16, .025), vec3(.24, .36, .08), fbm(p.xz * 5.) * .6 + .5 * noise(p.xz * 40.));
    return Surface(mix(g, vec3(.42, .37, .29) * (.8 + .3 * noise(p.xz * 30.)), path), .02, 0.);
  }
  if (m < 2.5) {
    bool inside = (abs(p.x) < .47 && p.z > -.22 && p.z < .1) || (abs(p.x) < 1.02 && p.z > .8 && abs(p.x) > .5 && abs(n.z) < .5 && abs(p.x) < .995) ;
    float board = smoothstep(.0, .12, fract(p.y * 9.));
    if (inside) return Surface(p.y < 1.0 && p.z < .5 ? vec3(.22, .08, .04) : vec3(.06, .08, .12), .3, 0.);
    return Surface(vec3(.78, .77, .74) * (.88 + .12 * board), .05, 0.);
  }
  if (m < 3.5) return Surface(mix(vec3(.12, .13, .16), vec3(.2, .2, .23), noise(p.xz * 12. + floor(p.y * 14.) * 7.)) * (.7 + .3 * smoothstep(.0, .25, fract(p.y * 14.))), .12, 0.);
  if (m < 4.5) return Surface(vec3(.85), .1, 0.);
  if (m < 5.5) return Surface(vec3(.8, .6, .2), .6, .3);
  if (m < 6.5) return Surface(mix(vec3(.03, .1, .02), vec3(.14, .26, .06), noise(p.xy * 9. + p.z * 7.)), .02, 0.);
  return Surface(vec3(.12, .08, .05), .02, 0.);
}
void view(out vec3 e, out vec3 a, out float z) { e = vec3(-4.6, 1.15, -7.2); a = vec3(.1, 2.35, .6); z = 2.25; }
