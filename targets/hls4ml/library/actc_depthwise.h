// One sum of products for each channel.
#ifndef ACTC_DEPTHWISE_H_
#define ACTC_DEPTHWISE_H_

#include "actc_windows.h"

namespace nnet {

template <class CONFIG_T> struct actc_depthwise_unit {
    enum { made = CONFIG_T::n_chan };

    template <class window_T, class res_T>
    static void apply(const window_T &window, res_T res[], const typename CONFIG_T::weight_t weight[],
                      const typename CONFIG_T::bias_t bias[]) {
        #pragma HLS INLINE
        ACTC_UNROLL
        for (unsigned k = 0; k < CONFIG_T::n_chan; k++) {
            #pragma HLS UNROLL
            res_T total = bias[k];
            ACTC_UNROLL
            for (int r = 0; r < CONFIG_T::kernel_rows; r++) {
                #pragma HLS UNROLL
                ACTC_UNROLL
                for (int c = 0; c < CONFIG_T::kernel_columns; c++) {
                    #pragma HLS UNROLL
                    total += window.at(r, c, k) * weight[(r * CONFIG_T::kernel_columns + c) * CONFIG_T::n_chan + k];
                }
            }
            res[k] = total;
        }
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_depthwise(data_T data[CONFIG_T::n_in],
                    res_T res[CONFIG_T::out_rows * CONFIG_T::out_columns * actc_depthwise_unit<CONFIG_T>::made],
                    const typename CONFIG_T::weight_t
                        weight[CONFIG_T::kernel_rows * CONFIG_T::kernel_columns * CONFIG_T::n_chan],
                    const typename CONFIG_T::bias_t bias[CONFIG_T::n_chan]) {
    #pragma HLS PIPELINE II=1
    actc_each_window<actc_depthwise_unit<CONFIG_T>, CONFIG_T>(data, res, weight, bias);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_depthwise(actc_stream<data_T> &data,
                    actc_stream<res_T> &res,
                    const typename CONFIG_T::weight_t
                        weight[CONFIG_T::kernel_rows * CONFIG_T::kernel_columns * CONFIG_T::n_chan],
                    const typename CONFIG_T::bias_t bias[CONFIG_T::n_chan]) {
    actc_each_window<actc_depthwise_unit<CONFIG_T>, CONFIG_T>(data, res, weight, bias);
}

} // namespace nnet

#endif
