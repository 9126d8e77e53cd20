// Lines: (slope * x + constant) >> shift, of the segment that a binary search finds.
#ifndef ACTC_PWL_H_
#define ACTC_PWL_H_

#include "actc_search.h"

namespace nnet {

template <class CONFIG_T> struct actc_pwl_unit {
    template <class data_T>
    static int apply(const data_T &x, unsigned channel,
                     const typename CONFIG_T::limits_t limits[],
                     const typename CONFIG_T::slopes_t slopes[],
                     const typename CONFIG_T::offsets_t offsets[]) {
        #pragma HLS INLINE
        const unsigned segment = actc_rank<CONFIG_T::depth>(x, limits);
        const actc_int<CONFIG_T::width> line = slopes[segment] * x + offsets[segment];
        return actc_int<CONFIG_T::width>(line >> CONFIG_T::shift).to_int();
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_pwl(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
              const typename CONFIG_T::limits_t limits[(1 << CONFIG_T::depth) - 1],
              const typename CONFIG_T::slopes_t slopes[1 << CONFIG_T::depth],
              const typename CONFIG_T::offsets_t offsets[1 << CONFIG_T::depth]) {
    #pragma HLS PIPELINE II=1
    actc_each<actc_pwl_unit<CONFIG_T>, CONFIG_T>(data, res, limits, slopes, offsets);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_pwl(actc_stream<data_T> &data, actc_stream<res_T> &res,
              const typename CONFIG_T::limits_t limits[(1 << CONFIG_T::depth) - 1],
              const typename CONFIG_T::slopes_t slopes[1 << CONFIG_T::depth],
              const typename CONFIG_T::offsets_t offsets[1 << CONFIG_T::depth]) {
    actc_each<actc_pwl_unit<CONFIG_T>, CONFIG_T>(data, res, limits, slopes, offsets);
}

} // namespace nnet

#endif
