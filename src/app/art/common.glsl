// Shared by the sample pictures: noise, distance fields, sky, light, one reflection. Each picture defines
// `map` (distance, material), `shade` (colour, gloss, metal), `view` (eye, target, zoom), `sky` and
// the `haze` that swallows what is far. Rendered by render.html.
struct Surface { vec3 colour; float gloss; float metal; };
vec2 map(vec3 p);
Surface shade(vec3 p, vec3 n, float material);
void view(out vec3 eye, out vec3 at, out float zoom);
vec3 sky(vec3 d);
vec3 haze(vec3 d);

const vec3 SUN = normalize(vec3(0.55, 0.72, -0.42));

float hash(vec2 p) { p = fract(p * vec2(123.34, 456.21)); p += dot(p, p + 45.32); return fract(p.x * p.y); }
float noise(vec2 p) {
  vec2 i = floor(p), f = fract(p); f = f * f * (3. - 2. * f);
  return mix(mix(hash(i), hash(i + vec2(1, 0)), f.x), mix(hash(i + vec2(0, 1)), hash(i + 1.), f.x), f.y);
}
float fbm(vec2 p) { float v = 0., a = .5; for (int i = 0; i < 5; i++) { v += a * noise(p); p = mat2(1.6, 1.2, -1.2, 1.6) * p; a *= .5; } return v; }
mat2 turn(float a) { return mat2(cos(a), -sin(a), sin(a), cos(a)); }
vec2 join(vec2 a, vec2 b) { return a.x < b.x ? a : b; }
float box(vec3 p, vec3 b, float r) { vec3 q = abs(p) - b + r; return length(max(q, 0.)) + min(max(q.x, max(q.y, q.z)), 0.) - r; }
float capsule(vec3 p, vec3 a, vec3 b, float r) { vec3 q = p - a, d = b - a; return length(q - d * clamp(dot(q, d) / dot(d, d), 0., 1.)) - r; }
float cylinder(vec3 p, float r, float h) { vec2 d = abs(vec2(length(p.xy), p.z)) - vec2(r, h); return min(max(d.x, d.y), 0.) + length(max(d, 0.)); }
float ring(vec3 p, float R, float r) { return length(vec2(length(p.xy) - R, p.z)) - r; }

vec3 clouds(vec3 d, vec3 low, vec3 high) {
  vec3 c = mix(low, high, smoothstep(-.05, .7, d.y));
  float f = fbm(d.xz / (d.y + .35) * 2.2 + 3.);
  return mix(c, vec3(1), smoothstep(.48, .78, f) * .8 * smoothstep(-.02, .15, d.y));
}
float march(vec3 o, vec3 d, float far) {
  float t = .01;
  for (int i = 0; i < 160; i++) { float h = map(o + d * t).x; if (h < .0006 * t) return t; t += h * .8; if (t > far) break; }
  return -1.;
}
vec3 normal(vec3 p) {
  vec2 e = vec2(.0012, -.0012);
  return normalize(e.xyy * map(p + e.xyy).x + e.yyx * map(p + e.yyx).x + e.yxy * map(p + e.yxy).x + e.xxx * map(p + e.xxx).x);
}
float shadow(vec3 o, vec3 d) {
  float s = 1., t = .02;
  for (int i = 0; i < 48; i++) { float h = map(o + d * t).x; s = min(s, 9. * h / t); t += clamp(h, .015, .35); if (s < .01 || t > 9.) break; }
  return clamp(s, 0., 1.);
}
float occlusion(vec3 p, vec3 n) {
  float o = 0., w = 1.;
  for (int i = 1; i < 6; i++) { float h = .05 * float(i); o += (h - map(p + n * h).x) * w; w *= .75; }
  return clamp(1. - 1.8 * o, .12, 1.);
}
vec3 lit(vec3 p, vec3 d, out Surface s, out vec3 n) {
  n = normal(p);
  s = shade(p, n, map(p).y);
  float sun = max(dot(n, SUN), 0.) * shadow(p + n * .004, SUN);
  vec3 light = sun * vec3(2.5, 2.25, 1.9) + occlusion(p, n) * mix(vec3(.34, .33, .3), vec3(.55, .68, .9), .5 + .5 * n.y);
  vec3 h = normalize(SUN - d);
  return s.colour * light * (1. - .85 * s.metal) + sun * s.gloss * pow(max(dot(n, h), 0.), mix(12., 120., s.gloss)) * 1.6;
}
vec3 colour(vec3 o, vec3 d) {
  float t = march(o, d, 60.);
  if (t < 0.) return sky(d);
  Surface s; vec3 n; vec3 p = o + d * t;
  vec3 c = lit(p, d, s, n);
  float fresnel = s.gloss * mix(.06, 1., pow(1. - max(dot(n, -d), 0.), 5.));
  float mirror = max(fresnel, s.metal);
  if (mirror > .02) {
    vec3 r = reflect(d, n); float u = march(p + n * .01, r, 20.);
    Surface s2; vec3 n2;
    vec3 seen = u < 0. ? sky(r) : lit(p + n * .01 + r * u, r, s2, n2);
    c += seen * mix(vec3(1), s.colour, s.metal) * mirror;
  }
  return mix(c, haze(d), 1. - exp(-.00012 * t * t * t));
}
vec3 picture(vec2 uv) {
  vec3 eye, at; float zoom; view(eye, at, zoom);
  vec3 f = normalize(at - eye), r = normalize(cross(vec3(0, 1, 0), f)), u = cross(f, r);
  vec3 c = colour(eye, normalize(uv.x * r + uv.y * u + zoom * f));
  c = c * (1. + c * .12) / (1. + c * .55);
  return pow(clamp(c, 0., 1.), vec3(1. / 2.2)) * (1. - .16 * dot(uv, uv));
}
