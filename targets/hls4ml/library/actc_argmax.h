// The channel of the largest element, of equal ones the first.
#ifndef ACTC_ARGMAX_H_
#define ACTC_ARGMAX_H_

#include "actc_rows.h"

namespace nnet {

template <class CONFIG_T> struct actc_argmax_unit {
    template <class data_T, class res_T> static void apply(const data_T x[], res_T res[]) {
        #pragma HLS INLINE
        data_T best = x[0];
        int place = 0;
        ACTC_UNROLL
        for (unsigned k = 1; k < CONFIG_T::n_chan; k++) {
            #pragma HLS UNROLL
            const bool larger = x[k] > best;
            best = larger ? x[k] : best;
            place = larger ? int(k) : place;
        }
        res[0] = place;
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_argmax(data_T data[CONFIG_T::n_in], res_T res[actc_row_sizes<CONFIG_T>::made]) {
    #pragma HLS PIPELINE II=1
    actc_each_row<actc_argmax_unit<CONFIG_T>, CONFIG_T>(data, res);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_argmax(actc_stream<data_T> &data, actc_stream<res_T> &res) {
    actc_each_row<actc_argmax_unit<CONFIG_T>, CONFIG_T>(data, res);
}

} // namespace nnet

#endif
