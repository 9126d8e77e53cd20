// first * a + second * b, of as many bits as it takes.
#ifndef ACTC_SUM_H_
#define ACTC_SUM_H_

#include "actc_each.h"

namespace nnet {

template <class CONFIG_T> struct actc_sum_unit {
    template <class first_T, class second_T>
    static auto apply(const first_T &a, const second_T &b) -> decltype(a * CONFIG_T::first + b * CONFIG_T::second) {
        #pragma HLS INLINE
        return a * CONFIG_T::first + b * CONFIG_T::second;
    }
};

template <class first_T, class second_T, class res_T, class CONFIG_T>
void actc_sum(first_T first[CONFIG_T::n_in], second_T second[CONFIG_T::n_in], res_T res[CONFIG_T::n_in]) {
    #pragma HLS PIPELINE II=1
    actc_each_pair<actc_sum_unit<CONFIG_T>, CONFIG_T>(first, second, res);
}

template <class first_T, class second_T, class res_T, class CONFIG_T>
void actc_sum(actc_stream<first_T> &first, actc_stream<second_T> &second, actc_stream<res_T> &res) {
    actc_each_pair<actc_sum_unit<CONFIG_T>, CONFIG_T>(first, second, res);
}

} // namespace nnet

#endif
