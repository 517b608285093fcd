/*
 * A shared object that is not quite scoutcore: with another ABI, or with the right one and no other
 * function. Bindings must refuse both, say why, and do nothing from then on.
 */
#include <stdint.h>

uint32_t scout_abi_version(void)
{
    return STUB_ABI;
}
