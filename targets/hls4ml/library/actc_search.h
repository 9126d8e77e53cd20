// Many steps: a binary search, one comparison for each bit of the number of thresholds.
#ifndef ACTC_SEARCH_H_
#define ACTC_SEARCH_H_

#include "actc_each.h"

namespace nnet {

// How many of 2**DEPTH - 1 increasing limits, from the place `first` on, x reaches.
template <int DEPTH, class data_T, class limit_T>
unsigned actc_rank(const data_T &x, const limit_T limits[], unsigned first = 0) {
    #pragma HLS INLINE
    unsigned rank = 0;
    ACTC_UNROLL
    for (int d = DEPTH - 1; d >= 0; d--) {
        #pragma HLS UNROLL
        const unsigned next = rank + (1u << d);
        rank = x >= limits[first + next - 1] ? next : rank;
    }
    return rank;
}

template <class CONFIG_T> struct actc_search_unit {
    template <class data_T>
    static typename CONFIG_T::levels_t apply(const data_T &x, unsigned channel,
                        const typename CONFIG_T::limits_t limits[],
                        const typename CONFIG_T::levels_t levels[]) {
        #pragma HLS INLINE
        const unsigned row = actc_row<CONFIG_T>(channel);
        const unsigned rank = actc_rank<CONFIG_T::depth>(x, limits, row * ((1 << CONFIG_T::depth) - 1));
        return levels[row * (1 << CONFIG_T::depth) + rank];
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_search(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
                 const typename CONFIG_T::limits_t limits[CONFIG_T::rows * ((1 << CONFIG_T::depth) - 1)],
                 const typename CONFIG_T::levels_t levels[CONFIG_T::rows * (1 << CONFIG_T::depth)]) {
    #pragma HLS PIPELINE II=1
    actc_each<actc_search_unit<CONFIG_T>, CONFIG_T>(data, res, limits, levels);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_search(actc_stream<data_T> &data, actc_stream<res_T> &res,
                 const typename CONFIG_T::limits_t limits[CONFIG_T::rows * ((1 << CONFIG_T::depth) - 1)],
                 const typename CONFIG_T::levels_t levels[CONFIG_T::rows * (1 << CONFIG_T::depth)]) {
    actc_each<actc_search_unit<CONFIG_T>, CONFIG_T>(data, res, limits, levels);
}

} // namespace nnet

#endif
