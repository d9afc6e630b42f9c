// Laws of nonlinear elements: `p v + q i = r` solved at a port, and what becomes of a wave. Always in float64.
// They follow substrate/backends/cpu_elements.py line by line, where each is explained.

enum { DIODE = 0, VARACTOR = 1, ABSORBER = 16, KERR = 17, TANH = 18 };  // substrate/nodes/nonlinear.py
#define NEWTON 100
#define THIN 0.05

struct Answer {
    double v, i, dv, di, charge;
    bool good;
};

// A strided stretch of an array, which is how a thread's own scratch lies.
struct Column {
    double* first;
    i64 stride;
    __device__ double& operator[](i64 i) const { return first[i * stride]; }
};

__device__ inline double smaller(double a, double b) { return a < b ? a : b; }
__device__ inline double larger(double a, double b) { return a > b ? a : b; }
__device__ inline bool is_finite(double x) { return x - x == 0.0; }

__device__ __noinline__ Answer diode(double p, double q, double r, double saturation, double thermal) {
    double v;
    if (q == 0.0)
        v = r / p;
    else if (p == 0.0) {
        if (r <= -q * saturation) return {0.0, 0.0, 1.0, 0.0, 0.0, false};
        v = thermal * log1p(r / (q * saturation));
    } else if (r > 0.0)
        v = smaller(r / p, thermal * log1p(r / (q * saturation)));
    else
        v = smaller(0.0, (r + q * saturation) / p);
    bool done = p == 0.0 || q == 0.0;
    for (int round = 0; round < NEWTON && !done; round++) {
        double excess = p * v + q * saturation * expm1(v / thermal) - r;
        double step = excess / (p + q * saturation * exp(v / thermal) / thermal);
        v -= step;
        done = fabs(step) <= 4e-16 * fabs(v) || excess <= 0.0;
    }
    if (v / thermal > 709.0) return {v, 0.0, 1.0, 0.0, 0.0, false};
    double i = saturation * expm1(v / thermal), slope = (i + saturation) / thermal;
    return {v, i, 1.0 / (1.0 + slope), slope / (1.0 + slope), 0.0, done && is_finite(v)};
}

// (V_J, M, C0 V_J, and at the tangent's start v, q, C, slope, energy)
struct Junction {
    double vj, m, qs, edge, q_edge, c_edge, slope, w_edge;
};

__device__ __noinline__ double junction_voltage(double charge, const Junction& law) {
    if (charge < law.q_edge) {
        double missing = law.q_edge - charge;
        return law.edge - 2.0 * missing / (law.c_edge + sqrt(law.c_edge * law.c_edge + 2.0 * law.slope * missing));
    }
    double k = 1.0 - law.m;
    if (k == 0.0) return law.vj * expm1(smaller(charge / law.qs, 700.0));
    double inside = k * charge / law.qs;
    if (inside <= -1.0) return no_end();
    return law.vj * expm1(smaller(log1p(inside) / k, 700.0));
}

__device__ inline double junction_elastance(double charge, const Junction& law) {
    if (charge < law.q_edge)
        return 1.0 / sqrt(law.c_edge * law.c_edge + 2.0 * law.slope * (law.q_edge - charge));
    return law.vj / law.qs * pow(1.0 + junction_voltage(charge, law) / law.vj, law.m);
}

__device__ __noinline__ double junction_energy(double charge, const Junction& law) {
    double v = junction_voltage(charge, law);
    if (charge < law.q_edge) {
        double below = law.edge - v, missing = law.q_edge - charge;
        return law.w_edge - law.edge * missing + 0.5 * law.c_edge * below * below +
               law.slope * (below * below * below) / 3.0;
    }
    double k = 2.0 - law.m, log = log1p(v / law.vj);
    return law.vj * (law.qs * (k == 0.0 ? log : expm1(k * log) / k) - charge);
}

__device__ __noinline__ double junction_mean(double before, double after, const Junction& law) {
    double step = after - before, bend = (1.0 - law.m) / law.qs;
    double low = 1.0 + bend * larger(before, law.q_edge), high = 1.0 + bend * larger(after, law.q_edge);
    double room = larger(0.0, smaller(low, high));
    bool same = (before < law.q_edge) == (after < law.q_edge);
    if (fabs(step) > THIN * room * law.qs || (!same && fabs(step) > 1e-5 * law.qs))
        return (junction_energy(after, law) - junction_energy(before, law)) / step;
    double middle = 0.5 * (before + after), half = 0.5 * step;
    double total = 128.0 / 225.0 * junction_voltage(middle, law);  // Gauss-Legendre, 5 points
    double a = 0.5384693101056831 * half, b = 0.9061798459386640 * half;
    total += 0.47862867049936647 * (junction_voltage(middle - a, law) + junction_voltage(middle + a, law));
    total += 0.23692688505618908 * (junction_voltage(middle - b, law) + junction_voltage(middle + b, law));
    return 0.5 * total;
}

__device__ inline double junction_slope(double before, double after, double mean, const Junction& law) {
    double step = after - before;
    if (fabs(step) > THIN * law.qs) return (junction_voltage(after, law) - mean) / step;
    return 0.5 * junction_elastance(before + 2.0 / 3.0 * step, law);
}

__device__ __noinline__ Answer varactor(double p, double q, double r, double before, double dt, const Junction& law) {
    double low = -no_end(), high = no_end(), x = before, last = no_end();
    double scale = larger(fabs(before), 1e-3 * law.qs), v = junction_voltage(before, law);
    for (int round = 0; round < 2 * NEWTON; round++) {
        double excess = p * v + q / dt * (x - before) - r;
        if (excess > 0.0)
            high = smaller(high, x);
        else
            low = larger(low, x);
        double slope = p * junction_slope(before, x, v, law) + q / dt;
        double target = slope > 0.0 ? x - excess / slope : no_end();
        if (is_finite(low) && is_finite(high)) {
            if (!(low < target && target < high && fabs(excess) <= 0.5 * last)) target = low + 0.5 * (high - low);
        } else if (!is_finite(target))
            target = excess < 0.0 ? 2.0 * x + scale : 2.0 * x - scale;
        last = fabs(excess);
        double step = target - x;
        x = target;
        v = junction_mean(before, x, law);
        if (fabs(step) <= 4e-16 * larger(fabs(x), scale)) {
            double tension = junction_slope(before, x, v, law) * dt;
            return {v, (x - before) / dt, tension / (1.0 + tension), 1.0 / (1.0 + tension), x, is_finite(v)};
        }
    }
    return {v, (x - before) / dt, 1.0, 0.0, x, false};
}

// Parameters of one element for one sample lie `samples` apart.
__device__ inline Junction junction_of(const double* par, i64 samples) {
    return {par[samples], par[2 * samples], par[3 * samples], par[4 * samples],
            par[5 * samples], par[6 * samples], par[7 * samples], par[8 * samples]};
}

__device__ __noinline__ Answer answer(
    i64 kind, const double* par, i64 samples, double p, double q, double r, double before, double dt) {
    double sign = par[0];
    Answer found = kind == DIODE ? diode(p, q, sign * r, par[samples], par[2 * samples])
                                 : varactor(p, q, sign * r, before, dt, junction_of(par, samples));
    found.v *= sign;
    found.i *= sign;
    return found;
}

__device__ __noinline__ double absorbed(double power, double absorbance) {
    if (power <= 0.0) return exp(-0.5 * absorbance);
    double logarithm = log(power), right = logarithm + power - absorbance;
    double y = right < 1.0 ? smaller(logarithm, right) : smaller(logarithm, log(right));
    for (int round = 0; round < NEWTON; round++) {
        double growth = exp(y), step = (y + growth - right) / (1.0 + growth);
        y -= step;
        if (fabs(step) <= 1e-15 * larger(1.0, fabs(y))) break;
    }
    return exp(0.5 * (y - logarithm));
}

// What leaves a wave element when re + i im enters, in place.
__device__ __noinline__ void transfer(i64 kind, const double* par, i64 samples, double& re, double& im) {
    double power = re * re + im * im, factor;
    if (kind == KERR) {
        double c = cos(par[0] * power), s = sin(par[0] * power), old = re;
        re = c * old + s * im;
        im = c * im - s * old;
        return;
    }
    if (kind == ABSORBER)
        factor = absorbed(power / par[samples], par[0]) * par[2 * samples];
    else {
        double size = sqrt(power), top = par[samples];
        factor = size > 0.0 ? top * tanh(par[0] * size / top) / size : par[0];
    }
    re *= factor;
    im *= factor;
}
