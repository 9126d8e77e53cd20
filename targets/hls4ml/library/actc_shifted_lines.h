// Lines whose slopes are sums of a few signed powers of two: shifts and additions, no multiplier.
//
// A digit is 0 for none, else 2 * (exponent + 1) + (1 where it is negative).
#ifndef ACTC_SHIFTED_LINES_H_
#define ACTC_SHIFTED_LINES_H_

#include "actc_search.h"

namespace nnet {

template <class CONFIG_T> struct actc_shifted_lines_unit {
    template <class data_T>
    static int apply(const data_T &x, unsigned channel,
                     const typename CONFIG_T::limits_t limits[],
                     const typename CONFIG_T::digits_t digits[],
                     const typename CONFIG_T::offsets_t offsets[]) {
        #pragma HLS INLINE
        const unsigned segment = actc_rank<CONFIG_T::depth>(x, limits);
        const actc_int<CONFIG_T::width> wide = x;
        actc_int<CONFIG_T::width> line = offsets[segment];
        ACTC_UNROLL
        for (int d = 0; d < CONFIG_T::terms; d++) {
            #pragma HLS UNROLL
            const unsigned digit = digits[segment * CONFIG_T::terms + d].to_uint();
            const actc_int<CONFIG_T::width> term = digit ? actc_int<CONFIG_T::width>(wide << ((digit >> 1) - 1))
                                                         : actc_int<CONFIG_T::width>(0);
            line = digit & 1 ? actc_int<CONFIG_T::width>(line - term) : actc_int<CONFIG_T::width>(line + term);
        }
        return actc_int<CONFIG_T::width>(line >> CONFIG_T::shift).to_int();
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_shifted_lines(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
                        const typename CONFIG_T::limits_t limits[(1 << CONFIG_T::depth) - 1],
                        const typename CONFIG_T::digits_t digits[CONFIG_T::terms << CONFIG_T::depth],
                        const typename CONFIG_T::offsets_t offsets[1 << CONFIG_T::depth]) {
    #pragma HLS PIPELINE II=1
    actc_each<actc_shifted_lines_unit<CONFIG_T>, CONFIG_T>(data, res, limits, digits, offsets);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_shifted_lines(actc_stream<data_T> &data, actc_stream<res_T> &res,
                        const typename CONFIG_T::limits_t limits[(1 << CONFIG_T::depth) - 1],
                        const typename CONFIG_T::digits_t digits[CONFIG_T::terms << CONFIG_T::depth],
                        const typename CONFIG_T::offsets_t offsets[1 << CONFIG_T::depth]) {
    actc_each<actc_shifted_lines_unit<CONFIG_T>, CONFIG_T>(data, res, limits, digits, offsets);
}

} // namespace nnet

#endif
