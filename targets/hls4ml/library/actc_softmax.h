// Shares of powers, as codes of `bits` bits: rounded half up, 1 as the largest code.
#ifndef ACTC_SOFTMAX_H_
#define ACTC_SOFTMAX_H_

#include "actc_rows.h"

namespace nnet {

// The share of a power, which is at most the sum, below 2^31: a quotient digit by digit, one bit
// in front of the point and one more than the code behind it.
template <int BITS> unsigned actc_share(unsigned power, unsigned sum) {
    #pragma HLS INLINE
    unsigned rest = power, quotient = 0;
    ACTC_UNROLL
    for (int k = 0; k < BITS + 2; k++) {
        #pragma HLS UNROLL
        const bool larger = rest >= sum;
        quotient = (quotient << 1) | (larger ? 1u : 0u);
        rest = (larger ? rest - sum : rest) << 1;
    }
    const unsigned code = (quotient + 1) >> 1, most = (1u << BITS) - 1;
    return code < most ? code : most;
}

template <class CONFIG_T> struct actc_softmax_unit {
    template <class data_T, class res_T>
    static void apply(const data_T x[], res_T res[], const typename CONFIG_T::powers_t powers[]) {
        #pragma HLS INLINE
        data_T best = x[0];
        ACTC_UNROLL
        for (unsigned k = 1; k < CONFIG_T::n_chan; k++) {
            #pragma HLS UNROLL
            best = x[k] > best ? x[k] : best;
        }
        unsigned own[CONFIG_T::n_chan];
        #pragma HLS ARRAY_PARTITION variable=own complete dim=0
        unsigned sum = 0;
        ACTC_UNROLL
        for (unsigned k = 0; k < CONFIG_T::n_chan; k++) {
            #pragma HLS UNROLL
            own[k] = powers[best.to_int() - x[k].to_int()].to_int();
            sum += own[k];
        }
        ACTC_UNROLL
        for (unsigned k = 0; k < CONFIG_T::n_chan; k++) {
            #pragma HLS UNROLL
            res[k] = actc_share<CONFIG_T::bits>(own[k], sum);
        }
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_softmax(data_T data[CONFIG_T::n_in], res_T res[actc_row_sizes<CONFIG_T>::made],
                  const typename CONFIG_T::powers_t powers[CONFIG_T::size]) {
    #pragma HLS PIPELINE II=1
    actc_each_row<actc_softmax_unit<CONFIG_T>, CONFIG_T>(data, res, powers);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_softmax(actc_stream<data_T> &data, actc_stream<res_T> &res,
                  const typename CONFIG_T::powers_t powers[CONFIG_T::size]) {
    actc_each_row<actc_softmax_unit<CONFIG_T>, CONFIG_T>(data, res, powers);
}

} // namespace nnet

#endif
