// A green garbage truck at the kerb.
vec3 sky(vec3 d) {
  vec3 houses = mix(vec3(.38, .3, .25), vec3(.6, .52, .44), step(.5, hash(floor(vec2(d.x * 9., 3.)))));
  houses = mix(houses, vec3(.16, .19, .22), step(.55, fract(d.x * 36.)) * step(.5, fract(d.y * 26.)));
  float roof = .13 + .07 * hash(floor(vec2(d.x * 9., 1.)));
  return mix(houses, clouds(d, vec3(.75, .85, .94), vec3(.22, .46, .82)), smoothstep(0., .012, d.y - roof));
}
vec3 haze(vec3 d) { return vec3(.62, .68, .74); }
float wheels(vec3 p) {
  vec3 q = vec3(p.x, p.y - .42, abs(p.z) - .78);
  float d = cylinder(q - vec3(-1.95, 0, 0), .42, .15);
  d = min(d, cylinder(q - vec3(.95, 0, 0), .42, .15));
  return min(d, cylinder(q - vec3(1.85, 0, 0), .42, .15));
}
vec2 map(vec3 p) {
  vec2 m = vec2(p.y + .012 * fbm(p.xz * 3.), 1.);
  m = join(m, vec2(box(p - vec3(0, .03, 3.6), vec3(30, .14, 1.6), .03), 8.));
  float body = box(p - vec3(.75, 1.62, 0), vec3(1.65, .92, .92), .12);
  vec3 r = p; float k = .5 + .5 * cos(r.x * 9.5);
  body -= .025 * smoothstep(.75, .95, k) * step(abs(p.y - 1.6), .75);
  m = join(m, vec2(body * .9, 2.));
  vec3 h = p - vec3(2.7, 1.42, 0); h.xy *= turn(-.12);
  float hopper = box(h, vec3(.52, .86, .9), .1);
  hopper = max(hopper, -box(h - vec3(.42, -.2, 0), vec3(.4, .38, .76), .03));
  m = join(m, vec2(hopper, 3.));
  float cab = box(p - vec3(-1.75, 1.42, 0), vec3(.68, .92, .9), .12);
  m = join(m, vec2(cab, 4.));
  m = join(m, vec2(box(p - vec3(.3, .62, 0), vec3(2.5, .14, .55), .03), 6.));
  m = join(m, vec2(box(p - vec3(-2.42, .62, 0), vec3(.08, .2, .9), .04), 6.));
  float w = wheels(p);
  m = join(m, vec2(w, 5.));
  m = join(m, vec2(capsule(p, vec3(-1.02, .9, -.7), vec3(-1.02, 2.65, -.7), .07), 7.));
  m = join(m, vec2(box(p - vec3(-2.3, 1.75, -1.04), vec3(.04, .2, .08), .03), 6.));
  return join(m, vec2(box(p - vec3(-1.75, 2.4, 0), vec3(.1, .07, .5), .03), 9.));
}
Surface shade(vec3 p, vec3 n, float m) {
  if (m < 1.5) return Surface(vec3(.16) * (.7 + .5 * fbm(p.xz * 5.)) * (.85 + .3 * noise(p.xz * 50.)), .04, 0.);
  if (m < 2.5) return Surface(mix(vec3(.04, .3, .1), vec3(.75, .76, .74), step(abs(p.y - 1.62), .12) * step(n.y, .5)), .35, 0.);
  if (m < 3.5) {
    float stripe = step(.5, fract((p.y + p.z) * 2.6)) * step(p.y, .95);
    return Surface(mix(vec3(.035, .26, .09), mix(vec3(.85, .6, .02), vec3(.03), step(.5, fract((p.y + p.z) * 2.6))), step(p.y, .9)), .3, 0.);
  }
  if (m < 4.5) {
    bool front = p.x < -2.3 && p.y > 1.5 && p.y < 2.12 && abs(p.z) < .76;
    bool side = abs(p.z) > .84 && p.y > 1.5 && p.y < 2.1 && p.x > -2.25 && p.x < -1.4;
    bool lamp = p.x < -2.3 && abs(p.y - .98) < .12 && abs(abs(p.z) - .64) < .14;
    bool grill = p.x < -2.3 && abs(p.y - 1.12) < .22 && abs(p.z) < .42;
    if (front || side) return Surface(vec3(.03, .045, .06), .9, .0);
    if (lamp) return Surface(vec3(.95, .93, .85), .9, 0.);
    if (grill) return Surface(vec3(.06) + .2 * step(.5, fract(p.y * 14.)), .3, 0.);
    return Surface(vec3(.8, .8, .78), .4, 0.);
  }
  if (m < 5.5) {
    float r = min(length(p.xy - vec2(-1.95, .42)), min(length(p.xy - vec2(.95, .42)), length(p.xy - vec2(1.85, .42))));
    if (r < .22) return Surface(vec3(.45), .5, .2);
    return Surface(vec3(.025), .12, 0.);
  }
  if (m < 6.5) return Surface(vec3(.05), .2, 0.);
  if (m < 7.5) return Surface(vec3(.7), .8, .6);
  if (m < 8.5) return Surface(vec3(.45, .44, .42) * (.85 + .2 * noise(p.xz * 20.)), .03, 0.);
  return Surface(vec3(1., .45, .02), .8, 0.);
}
void view(out vec3 e, out vec3 a, out float z) { e = vec3(-5.4, 2.3, -6.6); a = vec3(.2, 1.2, 0); z = 2.3; }
