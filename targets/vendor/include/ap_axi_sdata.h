// Words of an AXI4 stream for simulation; see ap_int.h for what this is and is not.
#ifndef ACTC_SIMULATION_AP_AXI_SDATA_H
#define ACTC_SIMULATION_AP_AXI_SDATA_H

#include "ap_int.h"

template <int D, int U, int TI, int TD>
struct ap_axiu {
  ap_uint<D> data;
  ap_uint<(D + 7) / 8> keep;
  ap_uint<(D + 7) / 8> strb;
  ap_uint<U> user;
  ap_uint<1> last;
  ap_uint<TI> id;
  ap_uint<TD> dest;
};

#endif
