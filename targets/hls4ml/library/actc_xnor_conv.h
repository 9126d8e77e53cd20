// A convolution of bits with weights of -1 and 1, as counts of agreements.
#ifndef ACTC_XNOR_CONV_H_
#define ACTC_XNOR_CONV_H_

#include "actc_windows.h"
#include "actc_xnor.h"

namespace nnet {

template <class CONFIG_T> struct actc_xnor_conv_unit {
    enum {
        made = CONFIG_T::filters,
        terms = CONFIG_T::kernel_rows * CONFIG_T::kernel_columns * CONFIG_T::n_chan
    };

    template <class window_T, class res_T>
    static void apply(const window_T &window, res_T res[], const typename CONFIG_T::weights_t weights[],
                      const typename CONFIG_T::bias_t bias[]) {
        #pragma HLS INLINE
        actc_packed<CONFIG_T> bits;
        #pragma HLS ARRAY_PARTITION variable=bits.x complete
        #pragma HLS ARRAY_PARTITION variable=bits.known complete
        bits.clear();
        ACTC_UNROLL
        for (int r = 0; r < CONFIG_T::kernel_rows; r++) {
            #pragma HLS UNROLL
            ACTC_UNROLL
            for (int c = 0; c < CONFIG_T::kernel_columns; c++) {
                #pragma HLS UNROLL
                // padding that is one of both values is a bit like others
                const bool inside = CONFIG_T::counted == 1 || window.inside(r, c);
                ACTC_UNROLL
                for (unsigned k = 0; k < CONFIG_T::n_chan; k++) {
                    #pragma HLS UNROLL
                    const int place = (r * CONFIG_T::kernel_columns + c) * CONFIG_T::n_chan + k;
                    bits.set(place, window.at(r, c, k).to_uint(), inside);
                }
            }
        }
        actc_agreeing<CONFIG_T::filters, CONFIG_T>(bits, terms, res, weights, bias);
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_xnor_conv(data_T data[CONFIG_T::n_in],
                    res_T res[CONFIG_T::out_rows * CONFIG_T::out_columns * CONFIG_T::filters],
                    const typename CONFIG_T::weights_t weights[CONFIG_T::filters * CONFIG_T::words],
                    const typename CONFIG_T::bias_t bias[CONFIG_T::filters]) {
    #pragma HLS PIPELINE II=1
    actc_each_window<actc_xnor_conv_unit<CONFIG_T>, CONFIG_T>(data, res, weights, bias);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_xnor_conv(actc_stream<data_T> &data, actc_stream<res_T> &res,
                    const typename CONFIG_T::weights_t weights[CONFIG_T::filters * CONFIG_T::words],
                    const typename CONFIG_T::bias_t bias[CONFIG_T::filters]) {
    actc_each_window<actc_xnor_conv_unit<CONFIG_T>, CONFIG_T>(data, res, weights, bias);
}

} // namespace nnet

#endif
