// The largest element of a window, channel by channel.
#ifndef ACTC_MAX_POOL_H_
#define ACTC_MAX_POOL_H_

#include "actc_windows.h"

namespace nnet {

template <class CONFIG_T> struct actc_max_pool_unit {
    enum { made = CONFIG_T::n_chan };

    template <class window_T, class res_T>
    static void apply(const window_T &window, res_T res[]) {
        #pragma HLS INLINE
        ACTC_UNROLL
        for (unsigned k = 0; k < CONFIG_T::n_chan; k++) {
            #pragma HLS UNROLL
            res_T most = CONFIG_T::outside;
            ACTC_UNROLL
            for (int r = 0; r < CONFIG_T::kernel_rows; r++) {
                #pragma HLS UNROLL
                ACTC_UNROLL
                for (int c = 0; c < CONFIG_T::kernel_columns; c++) {
                    #pragma HLS UNROLL
                    const res_T value = window.at(r, c, k);
                    most = value > most ? value : most;
                }
            }
            res[k] = most;
        }
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_max_pool(data_T data[CONFIG_T::n_in],
                   res_T res[CONFIG_T::out_rows * CONFIG_T::out_columns * actc_max_pool_unit<CONFIG_T>::made]) {
    #pragma HLS PIPELINE II=1
    actc_each_window<actc_max_pool_unit<CONFIG_T>, CONFIG_T>(data, res);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_max_pool(actc_stream<data_T> &data,
                   actc_stream<res_T> &res) {
    actc_each_window<actc_max_pool_unit<CONFIG_T>, CONFIG_T>(data, res);
}

} // namespace nnet

#endif
