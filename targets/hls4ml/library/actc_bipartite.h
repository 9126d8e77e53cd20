// The sum of two small tables. Of i = x - first, one sees all but the last bits, the other its first
// and its last bits: ((initial[i >> coarse] << left) + offset[first bits of i, last bits of i]) >> guard.
#ifndef ACTC_BIPARTITE_H_
#define ACTC_BIPARTITE_H_

#include "actc_each.h"

namespace nnet {

template <class CONFIG_T> struct actc_bipartite_unit {
    template <class data_T>
    static int apply(const data_T &x, unsigned channel,
                     const typename CONFIG_T::initial_t initial[],
                     const typename CONFIG_T::offset_t offset[]) {
        #pragma HLS INLINE
        const unsigned i = x.to_int() - CONFIG_T::first;
        const unsigned last = i & ((1u << CONFIG_T::low) - 1);
        const actc_int<CONFIG_T::width> large = initial[i >> CONFIG_T::coarse];
        const actc_int<CONFIG_T::width> moved = large << CONFIG_T::left;
        const actc_int<CONFIG_T::width> sum = moved + offset[((i >> CONFIG_T::high) << CONFIG_T::low) | last];
        return actc_int<CONFIG_T::width>(sum >> CONFIG_T::guard).to_int();
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_bipartite(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
                    const typename CONFIG_T::initial_t initial[CONFIG_T::initials],
                    const typename CONFIG_T::offset_t offset[CONFIG_T::offsets]) {
    #pragma HLS PIPELINE II=1
    actc_each<actc_bipartite_unit<CONFIG_T>, CONFIG_T>(data, res, initial, offset);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_bipartite(actc_stream<data_T> &data, actc_stream<res_T> &res,
                    const typename CONFIG_T::initial_t initial[CONFIG_T::initials],
                    const typename CONFIG_T::offset_t offset[CONFIG_T::offsets]) {
    actc_each<actc_bipartite_unit<CONFIG_T>, CONFIG_T>(data, res, initial, offset);
}

} // namespace nnet

#endif
