// Clusters with nonlinear elements: matrix, elements, matrix. One thread steps one cluster of one sample, one step after
// the other.

// One element on a linear rest that answers e + g b to a wave b: wave sent back into x; the charge moves.
__device__ __noinline__ bool alone(const Place& at, i64 k, double e, double g, double& charge, double& back) {
    double z = impedance_of(at, at.g->impedances, k), root = impedance_of(at, at.g->roots, k);
    double p = 1.0 - g, q = (1.0 + g) * z;
    back = 0.0;
    if (p < -1e-12 || q < -1e-12 * z) return false;  // the rest is active here: there may be no answer, or several
    Answer a = answer(
        at.g->kinds[k], parameters_of(at, k), at.g->parameter_samples, larger(p, 0.0), larger(q, 0.0), 2.0 * root * e,
        charge, at.g->dt);
    back = 0.5 * (a.v - z * a.i) / root;
    charge = a.charge;
    return a.good;
}

// Rows of y = matrix x, which lie [row, part] in the scratch.
__device__ __noinline__ void rows_of(const Place& at, const double* matrix, i64 first, i64 last, Column x, Column y) {
    const Nonlinear& g = *at.g;
    for (i64 i = first; i < last; i++) {
        double re = 0.0, im = 0.0;
        for (i64 j = 0; j < g.columns; j++) {
            const double* entry = matrix + (i * g.columns + j) * g.matrix_samples;
            re += entry[0] * x[PARTS * j];
            if (PARTS == 2) {
                re -= entry[g.imaginary] * x[PARTS * j + 1];
                im += entry[0] * x[PARTS * j + 1] + entry[g.imaginary] * x[PARTS * j];
            }
        }
        y[PARTS * i] = re;
        if (PARTS == 2) y[PARTS * i + 1] = im;
    }
}

// One step of one cluster, from x to y; returns -1, or which element failed.
__device__ __noinline__ i64 scatter_elements(const Place& at, const double* matrix, i64 batch, Column x, Column y, i64 spare) {
    const Nonlinear& g = *at.g;
    i64 n = g.inner - g.waves, first = g.ports + g.waves, failed = -1;
    for (i64 k = 0; k < PARTS * g.inner; k++) x[PARTS * g.ports + k] = 0.0;
    rows_of(at, matrix, g.ports, first, x, y);
    for (i64 k = 0; k < g.waves; k++) {
        double re = y[PARTS * (g.ports + k)], im = PARTS == 2 ? y[PARTS * (g.ports + k) + 1] : 0.0;
        transfer(g.kinds[k], parameters_of(at, k), g.parameter_samples, re, im);
        x[PARTS * (g.ports + k)] = re;
        if (PARTS == 2) x[PARTS * (g.ports + k) + 1] = im;
    }
    if (n > 0) rows_of(at, matrix, first, g.ports + g.inner, x, y);
    if (n == 1) {
        double own = matrix[(first * g.columns + first) * g.matrix_samples], back;
        if (!alone(at, g.waves, y[PARTS * first], own, charge_of(at, g.waves, batch), back)) failed = g.waves;
        x[PARTS * first] = back;
    } else if (n > 1) {
        Rest base = {n, at.column(spare), at.column(spare + n), at.column(spare + n + n * n)};
        Column best = at.column(spare + 2 * n + n * n);
        for (i64 k = 0; k < n; k++) {
            base.e[k] = y[PARTS * (first + k)];
            for (i64 j = 0; j < n; j++)
                base.g[k * n + j] = matrix[((first + k) * g.columns + first + j) * g.matrix_samples];
        }
        if (together(at, base, batch, best, spare + 8 * n + n * n)) {
            for (i64 k = 0; k < n; k++) {
                x[PARTS * (first + k)] = OUT(best, k, 0);
                charge_of(at, g.waves + k, batch) = OUT(best, k, 2);
            }
        } else
            failed = g.waves;
    }
    rows_of(at, matrix, 0, g.ports, x, y);
    rows_of(at, matrix, g.ports + g.inner, g.rows, x, y);
    return failed;
}

__device__ __noinline__ double joules_of(const Place& at, i64 batch) {
    double total = 0.0;
    for (i64 k = 0; k < at.g->inner; k++)
        if (at.g->kinds[k] == VARACTOR)
            total += junction_energy(charge_of(at, k, batch), junction_of(parameters_of(at, k), at.g->parameter_samples));
    return total;
}

// Joules in all charges, one sum per block of threads.
extern "C" __global__ void charge_energy(const Nonlinear* group, i64 batch, double* sums) {
    double total = 0.0;
    for (i64 i = first_item(); i < group->clusters * batch; i += all_threads()) {
        Place at = {group, i / batch, i % batch, 0, 0};
        total += joules_of(at, batch);
    }
    block_sum(total, sums + blockIdx.x);
}

// Collects what arrives and is fed in at step k into x; returns the power that arrives.
__device__ inline double gather(
    const Circuit& net, const Noise& noise, const Place& at, const i64* where, const i64* clock, i64 k, Column x) {
    const Nonlinear& g = *at.g;
    double power = 0.0;
    for (i64 j = 0; j < g.ports; j++) {
        i64 end = at.c * g.ports + j, place = place_of(net, where, g.base[end], g.end[end], k, at.b);
        for (int p = 0; p < PARTS; p++) {
            double v = net.arena[p * net.plane + place];
            x[PARTS * j + p] = v;
            power += v * v;
        }
    }
    for (i64 u = 0; u < g.sources; u++)
        for (int p = 0; p < PARTS; p++)
            x[PARTS * (g.ports + g.inner + g.states + u) + p] = input_at(
                net, noise, g.source_row[at.c * g.sources + u], p, clock[0] + k, clock[1] + k, at.b);
    return power;
}

// Writes what leaves at step k, keeps the states in x, and shows probes what they see.
__device__ inline void spread(
    const Circuit& net, const Place& at, const i64* where, const i64* clock, i64 k, Column x, Column y, Totals& total) {
    const Nonlinear& g = *at.g;
    i64 start = g.ports + g.inner;
    for (i64 j = 0; j < g.ports; j++) {
        i64 end = at.c * g.ports + j, place = place_of(net, where, g.base[end], g.end[end], k, at.b);
        double square = 0.0;
        for (int p = 0; p < PARTS; p++) {
            real v = (real)y[PARTS * j + p];
            net.arena[p * net.plane + place] = v;
            square += (double)v * (double)v;
        }
        double lost = g.weight[end] * square;
        total.net -= square + lost;
        total.lost += lost;
    }
    for (i64 i = 0; i < PARTS * g.states; i++) x[PARTS * start + i] = y[PARTS * start + i];
    Group metered = {};
    metered.observed = g.observed;
    metered.metered = g.metered;
    for (i64 o = 0; o < g.observed; o++) {
        i64 row = PARTS * (start + g.states + o);
        double re = y[row], im = PARTS == 2 ? y[row + PARTS - 1] : 0.0;
        show(net, g.seen_row[at.c * g.observed + o], clock[1] + k, at.b, (real)re, (real)im);
        meter(metered, o, (real)re, (real)im, total);
    }
}

// sums [4, threads]: net, lost, into states, joules into charges. failed: the earliest (step, cluster, element), or -1.
extern "C" __global__ void step_nonlinear(
    const Circuit* net_, const Noise* noise, const Nonlinear* group, const i64* where, const i64* clock, i64 steps,
    double* work, double* sums, u64* failed) {
    const Circuit& net = *net_;
    const Nonlinear& g = *group;
    i64 threads = all_threads(), me = first_item(), start = g.ports + g.inner;
    Totals total = {0.0, 0.0, 0.0};
    double joules = 0.0;
    for (i64 i = me; i < g.clusters * net.batch; i += threads) {
        Place at = {group, i / net.batch, i % net.batch, work + me, threads};
        Column x = at.column(0), y = at.column(PARTS * g.columns);
        i64 spare = PARTS * (g.columns + g.rows);
        const double* matrix = g.matrix + g.which[at.c] * g.rows * g.columns * g.matrix_samples +
                               (g.matrix_samples > 1 ? at.b : 0);
        joules -= joules_of(at, net.batch);
        for (i64 s = 0; s < g.states; s++)
            for (int p = 0; p < PARTS; p++) {
                double v = g.memory[((p * g.clusters + at.c) * g.states + s) * net.batch + at.b];
                x[PARTS * (start + s) + p] = v;
                total.stored -= g.energy[at.c * g.states + s] * v * v;
            }
        for (i64 k = 0; k < steps; k++) {
            total.net += gather(net, *noise, at, where, clock, k, x);
            i64 wrong = scatter_elements(at, matrix, net.batch, x, y, spare);
            if (wrong >= 0) {
                u64 key = ((u64)(clock[1] + k) * g.clusters + at.c) * g.inner + wrong;
                atomicMin(failed, key);
            }
            spread(net, at, where, clock, k, x, y, total);
        }
        for (i64 s = 0; s < g.states; s++)
            for (int p = 0; p < PARTS; p++) {
                double v = x[PARTS * (start + s) + p];
                real kept = (real)v;
                g.memory[((p * g.clusters + at.c) * g.states + s) * net.batch + at.b] = kept;
                total.stored += g.energy[at.c * g.states + s] * (double)kept * (double)kept;
            }
        joules += joules_of(at, net.batch);
    }
    sums[me] += total.net;
    sums[threads + me] += total.lost;
    sums[2 * threads + me] += total.stored;
    sums[3 * threads + me] += joules;
}
