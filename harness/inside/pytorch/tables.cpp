// Tables of pybind11 with so much room that what is hashed by address is found at once: see ../tables.c.
//
// For each argument that a function of torch takes, pybind11 asks a table by the address of a type, and it keeps each
// object that it wraps in another. What fell on one place of them moved the call of a compiled function by 0.1 %. Torch's
// own headers tell where the tables are; so this is built for the torch that is counted.
#include <pybind11/pybind11.h>

// How many types the first table holds: none where torch was built in another way, and has its tables elsewhere.
extern "C" long spread_tables()
{
    auto &internals = pybind11::detail::get_internals();
    internals.registered_types_py.rehash(1 << 14);
    internals.registered_instances.rehash(1 << 16);
    return static_cast<long>(internals.registered_types_py.size());
}
