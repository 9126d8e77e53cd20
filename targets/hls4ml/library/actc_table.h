// A table, from the input `first` on.
#ifndef ACTC_TABLE_H_
#define ACTC_TABLE_H_

#include "actc_each.h"

namespace nnet {

template <class CONFIG_T> struct actc_table_unit {
    template <class data_T>
    static typename CONFIG_T::levels_t apply(const data_T &x, unsigned channel,
                        const typename CONFIG_T::levels_t levels[]) {
        #pragma HLS INLINE
        const int place = x.to_int() - CONFIG_T::first;
        return levels[actc_row<CONFIG_T>(channel) * CONFIG_T::size + place];
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_table(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
                const typename CONFIG_T::levels_t levels[CONFIG_T::rows * CONFIG_T::size]) {
    #pragma HLS PIPELINE II=1
    actc_each<actc_table_unit<CONFIG_T>, CONFIG_T>(data, res, levels);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_table(actc_stream<data_T> &data, actc_stream<res_T> &res,
                const typename CONFIG_T::levels_t levels[CONFIG_T::rows * CONFIG_T::size]) {
    actc_each<actc_table_unit<CONFIG_T>, CONFIG_T>(data, res, levels);
}

} // namespace nnet

#endif
