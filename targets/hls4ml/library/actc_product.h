// (a - first) * (b - second).
#ifndef ACTC_PRODUCT_H_
#define ACTC_PRODUCT_H_

#include "actc_each.h"

namespace nnet {

template <class CONFIG_T, class first_T, class second_T>
int actc_product_of(const first_T &a, const second_T &b) {
    #pragma HLS INLINE
    return (a.to_int() - CONFIG_T::first) * (b.to_int() - CONFIG_T::second);
}

template <class first_T, class second_T, class res_T, class CONFIG_T>
void actc_product(first_T first[CONFIG_T::n_in], second_T second[CONFIG_T::n_in], res_T res[CONFIG_T::n_in]) {
    #pragma HLS PIPELINE II=1
    ACTC_UNROLL
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        #pragma HLS UNROLL
        res[i] = res_T(actc_product_of<CONFIG_T>(first[i], second[i]));
    }
}

template <class first_T, class second_T, class res_T, class CONFIG_T>
void actc_product(actc_stream<first_T> &first, actc_stream<second_T> &second, actc_stream<res_T> &res) {
    ACTC_PIPELINE
    for (unsigned i = 0; i < CONFIG_T::n_in / res_T::size; i++) {
        #pragma HLS PIPELINE II=1
        first_T left = first.read();
        second_T right = second.read();
        res_T out;
        ACTC_PACK(out)
        ACTC_UNROLL
        for (unsigned k = 0; k < res_T::size; k++) {
            #pragma HLS UNROLL
            out[k] = typename res_T::value_type(actc_product_of<CONFIG_T>(left[k], right[k]));
        }
        res.write(out);
    }
}

} // namespace nnet

#endif
