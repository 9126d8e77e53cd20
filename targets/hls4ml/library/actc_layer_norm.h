// floor(4096 * d / sqrt(v + eps)) * gamma + beta, as in float64 but with integers.
//
// targets/hls4ml/rows.py says why each step gives what float64 gives. Nothing exceeds 2^56.
#ifndef ACTC_LAYER_NORM_H_
#define ACTC_LAYER_NORM_H_

#include "actc_rows.h"

namespace nnet {

typedef unsigned long long actc_wide;

// Bits of a number of at most MOST bits.
template <int MOST> int actc_length(actc_wide x) {
    #pragma HLS INLINE
    int length = 0;
    ACTC_UNROLL
    for (int k = 0; k < MOST; k++) {
        #pragma HLS UNROLL
        length = (x >> k) & 1 ? k + 1 : length;
    }
    return length;
}

// The root of v + eps, rounded to 53 bits, is root / 2^shift.
template <class CONFIG_T> void actc_root(actc_wide v, actc_wide &root, int &shift) {
    #pragma HLS INLINE
    const actc_wide whole = (actc_wide(CONFIG_T::whole_high) << 27) | CONFIG_T::whole_low;
    const actc_wide part = (actc_wide(CONFIG_T::part_high) << 27) | CONFIG_T::part_low;
    // of equal elements d is 0, whatever the root is
    const actc_wide front = v == 0 ? 1 : v + whole;
    const int length = actc_length<53>(front);
    actc_wide mantissa = (front << (53 - length)) | (part >> length);
    const actc_wide behind = part & ((1ull << length) - 1), half = 1ull << (length - 1);
    if (behind > half || (behind == half && ((mantissa & 1) || CONFIG_T::more)))
        mantissa++;

    const actc_wide square = length % 2 ? mantissa : mantissa << 1;
    actc_wide rest = 0;
    root = 0;
    ACTC_UNROLL
    for (int k = 27; k >= -26; k--) {
        #pragma HLS UNROLL
        const actc_wide pair = k >= 0 ? (square >> (k >= 0 ? 2 * k : 0)) & 3 : 0;
        rest = (rest << 2) | pair;
        const actc_wide tried = (root << 2) | 1;
        const bool larger = rest >= tried;
        rest = larger ? rest - tried : rest;
        root = (root << 1) | (larger ? 1u : 0u);
    }
    if (rest > root)
        root++;
    shift = (106 - length) / 2;
}

// floor(4096 * d * 2^shift / root), the quotient rounded to 53 bits.
template <int DIGITS> long long actc_normal(long long d, actc_wide root, int shift) {
    #pragma HLS INLINE
    actc_wide rest = (actc_wide(d < 0 ? -d : d) << 12) << (shift - DIGITS), quotient = 0;
    ACTC_UNROLL
    for (int k = 0; k < DIGITS; k++) {
        #pragma HLS UNROLL
        rest <<= 1;
        const bool larger = rest >= root;
        rest = larger ? rest - root : rest;
        quotient = (quotient << 1) | (larger ? 1u : 0u);
    }
    const actc_wide slack = root >> (54 - actc_length<DIGITS>(quotient));
    if (d < 0)
        return -(long long)(quotient + (rest > slack ? 1 : 0));
    return (long long)(quotient + (root - rest <= slack ? 1 : 0));
}

template <class CONFIG_T> struct actc_layer_norm_unit {
    template <class data_T, class res_T>
    static void apply(const data_T x[], res_T res[], const typename CONFIG_T::gamma_t gamma[],
                      const typename CONFIG_T::beta_t beta[]) {
        #pragma HLS INLINE
        const int count = CONFIG_T::n_chan;
        long long total = 0, squares = 0;
        ACTC_UNROLL
        for (int k = 0; k < count; k++) {
            #pragma HLS UNROLL
            const long long element = x[k].to_int();
            total += element;
            squares += element * element;
        }
        actc_wide root;
        int shift;
        actc_root<CONFIG_T>(actc_wide(count * squares - total * total), root, shift);
        ACTC_UNROLL
        for (int k = 0; k < count; k++) {
            #pragma HLS UNROLL
            const long long d = (long long)count * x[k].to_int() - total;
            const long long normal = actc_normal<CONFIG_T::digits>(d, root, shift);
            res[k] = normal * gamma[k].to_int64() + beta[k].to_int64();
        }
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_layer_norm(data_T data[CONFIG_T::n_in], res_T res[actc_row_sizes<CONFIG_T>::made],
                     const typename CONFIG_T::gamma_t gamma[CONFIG_T::n_chan],
                     const typename CONFIG_T::beta_t beta[CONFIG_T::n_chan]) {
    #pragma HLS PIPELINE II=1
    actc_each_row<actc_layer_norm_unit<CONFIG_T>, CONFIG_T>(data, res, gamma, beta);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_layer_norm(actc_stream<data_T> &data, actc_stream<res_T> &res,
                     const typename CONFIG_T::gamma_t gamma[CONFIG_T::n_chan],
                     const typename CONFIG_T::beta_t beta[CONFIG_T::n_chan]) {
    actc_each_row<actc_layer_norm_unit<CONFIG_T>, CONFIG_T>(data, res, gamma, beta);
}

} // namespace nnet

#endif
