// The level of the number of thresholds that x reaches.
#ifndef ACTC_THRESHOLDS_H_
#define ACTC_THRESHOLDS_H_

#include "actc_each.h"

namespace nnet {

template <class CONFIG_T> struct actc_thresholds_unit {
    template <class data_T>
    static typename CONFIG_T::levels_t apply(const data_T &x, unsigned channel,
                        const typename CONFIG_T::limits_t limits[],
                        const typename CONFIG_T::levels_t levels[]) {
        #pragma HLS INLINE
        const unsigned row = actc_row<CONFIG_T>(channel);
        unsigned rank = 0;
        ACTC_UNROLL
        for (int k = 0; k < CONFIG_T::count; k++) {
            #pragma HLS UNROLL
            rank += x >= limits[row * CONFIG_T::count + k] ? 1 : 0;
        }
        return levels[row * (CONFIG_T::count + 1) + rank];
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_thresholds(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
                     const typename CONFIG_T::limits_t limits[CONFIG_T::rows * CONFIG_T::count],
                     const typename CONFIG_T::levels_t levels[CONFIG_T::rows * (CONFIG_T::count + 1)]) {
    #pragma HLS PIPELINE II=1
    actc_each<actc_thresholds_unit<CONFIG_T>, CONFIG_T>(data, res, limits, levels);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_thresholds(actc_stream<data_T> &data, actc_stream<res_T> &res,
                     const typename CONFIG_T::limits_t limits[CONFIG_T::rows * CONFIG_T::count],
                     const typename CONFIG_T::levels_t levels[CONFIG_T::rows * (CONFIG_T::count + 1)]) {
    actc_each<actc_thresholds_unit<CONFIG_T>, CONFIG_T>(data, res, limits, levels);
}

} // namespace nnet

#endif
