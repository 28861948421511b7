// Package bench measures whole proxies: what it costs to send traffic through
// Proxyglass, beside the least that any proxy of that kind must do, its floor.
// It has benchmarks only:
//
//	go test ./internal/bench -run '^$' -bench . -count 5
//
// The load, the proxies and the origin are processes of their own, all of them
// this package's test binary in another role, so that what is reported is the
// CPU time of the proxy alone: of its process's clock, from standstill to
// standstill. Both proxies stand side by side and take turns, about half a second
// each, so that what else the machine does meets both alike. A benchmark's
// operation is one such comparison, of several rounds.
//
//	cpu-us/req   microseconds of the proxy's CPU time for each request
//	cpu-s/GiB    seconds of it for each GiB that passes
//	req/s, MB/s  what passed, on a machine that proxy, load and origin share
//	KiB/conn     growth of the proxy's resident memory for each connection
//	x-floor      the first of these beside the floor's: the median of the rounds
//
// What begins with floor- is the floor's own. The ratio is the result: the other
// figures are those of a machine, and of what else it does.
//
// With PROXYGLASS_BENCH_PROFILE set to a directory, each process leaves a CPU
// profile there. It needs Linux, for the clocks of other processes.
package bench
