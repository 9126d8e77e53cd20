// Two tensors of equally many positions: of each position the channels of the first, then of the second.
#ifndef ACTC_CONCAT_H_
#define ACTC_CONCAT_H_

#include "actc_types.h"

namespace nnet {

template <class CONFIG_T> struct actc_concat_sizes {
    enum {
        positions = CONFIG_T::n_in / CONFIG_T::n_chan,
        first = CONFIG_T::n_chan,
        second = CONFIG_T::out_channels - CONFIG_T::n_chan,
        made = positions * CONFIG_T::out_channels
    };
};

template <class first_T, class second_T, class res_T, class CONFIG_T>
void actc_concat(first_T first[CONFIG_T::n_in],
                 second_T second[actc_concat_sizes<CONFIG_T>::positions * actc_concat_sizes<CONFIG_T>::second],
                 res_T res[actc_concat_sizes<CONFIG_T>::made]) {
    #pragma HLS PIPELINE II=1
    typedef actc_concat_sizes<CONFIG_T> sizes;
    ACTC_UNROLL
    for (int i = 0; i < sizes::positions; i++) {
        #pragma HLS UNROLL
        ACTC_UNROLL
        for (int k = 0; k < sizes::first; k++) {
            #pragma HLS UNROLL
            res[i * CONFIG_T::out_channels + k] = res_T(first[i * sizes::first + k]);
        }
        ACTC_UNROLL
        for (int k = 0; k < sizes::second; k++) {
            #pragma HLS UNROLL
            res[i * CONFIG_T::out_channels + sizes::first + k] = res_T(second[i * sizes::second + k]);
        }
    }
}

template <class first_T, class second_T, class res_T, class CONFIG_T>
void actc_concat(actc_stream<first_T> &first, actc_stream<second_T> &second, actc_stream<res_T> &res) {
    typedef actc_concat_sizes<CONFIG_T> sizes;
    typedef typename res_T::value_type value_T;
    ACTC_PIPELINE
    for (int i = 0; i < sizes::positions; i++) {
        #pragma HLS PIPELINE II=1
        first_T left = first.read();
        second_T right = second.read();
        res_T out;
        ACTC_PACK(out)
        ACTC_UNROLL
        for (int k = 0; k < sizes::first; k++) {
            #pragma HLS UNROLL
            out[k] = value_T(left[k]);
        }
        ACTC_UNROLL
        for (int k = 0; k < sizes::second; k++) {
            #pragma HLS UNROLL
            out[sizes::first + k] = value_T(right[k]);
        }
        res.write(out);
    }
}

} // namespace nnet

#endif
