// All sums of products of a window, one for each filter.
#ifndef ACTC_CONV_H_
#define ACTC_CONV_H_

#include "actc_windows.h"

namespace nnet {

template <class CONFIG_T> struct actc_conv_unit {
    enum { made = CONFIG_T::filters };

    template <class window_T, class res_T>
    static void apply(const window_T &window, res_T res[], const typename CONFIG_T::weight_t weight[],
                      const typename CONFIG_T::bias_t bias[]) {
        #pragma HLS INLINE
        ACTC_UNROLL
        for (int f = 0; f < CONFIG_T::filters; f++) {
            #pragma HLS UNROLL
            // sums on the way wrap around; the last one fits
            res_T total = bias[f];
            ACTC_UNROLL
            for (int r = 0; r < CONFIG_T::kernel_rows; r++) {
                #pragma HLS UNROLL
                ACTC_UNROLL
                for (int c = 0; c < CONFIG_T::kernel_columns; c++) {
                    #pragma HLS UNROLL
                    ACTC_UNROLL
                    for (unsigned k = 0; k < CONFIG_T::n_chan; k++) {
                        #pragma HLS UNROLL
                        const unsigned place = (r * CONFIG_T::kernel_columns + c) * CONFIG_T::n_chan + k;
                        total += window.at(r, c, k) * weight[place * CONFIG_T::filters + f];
                    }
                }
            }
            res[f] = total;
        }
    }
};

template <class CONFIG_T> struct actc_conv_sizes {
    enum {
        made = CONFIG_T::out_rows * CONFIG_T::out_columns * CONFIG_T::filters,
        weights = CONFIG_T::kernel_rows * CONFIG_T::kernel_columns * CONFIG_T::n_chan * CONFIG_T::filters
    };
};

template <class data_T, class res_T, class CONFIG_T>
void actc_conv(data_T data[CONFIG_T::n_in], res_T res[actc_conv_sizes<CONFIG_T>::made],
               const typename CONFIG_T::weight_t weight[actc_conv_sizes<CONFIG_T>::weights],
               const typename CONFIG_T::bias_t bias[CONFIG_T::filters]) {
    #pragma HLS PIPELINE II=1
    actc_each_window<actc_conv_unit<CONFIG_T>, CONFIG_T>(data, res, weight, bias);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_conv(actc_stream<data_T> &data, actc_stream<res_T> &res,
               const typename CONFIG_T::weight_t weight[actc_conv_sizes<CONFIG_T>::weights],
               const typename CONFIG_T::bias_t bias[CONFIG_T::filters]) {
    actc_each_window<actc_conv_unit<CONFIG_T>, CONFIG_T>(data, res, weight, bias);
}

} // namespace nnet

#endif
