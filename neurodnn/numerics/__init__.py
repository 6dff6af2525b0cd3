"""Ground floor: kernels. Arrays in, arrays out; each is a function with a known answer."""
