// Package pack chooses which instances to launch for tasks that fit nowhere: the cheapest
// set of instances that holds them all. That is variable-sized vector bin packing with
// prices, which nobody solves exactly at this size; what helps is that tasks come in few
// shapes. So items are shapes with counts, and equal bins are filled once and counted.
//
// [Solve] drops offerings that another one dominates, finds resource prices by linear
// programming (what a unit of CPU or memory is worth on the cheapest mix of offerings),
// and runs a portfolio of greedy rules: each fills one bin of every offering, opens the
// one with the most worth per dollar as often as the demand allows, and starts over. The
// cheapest result is then downsized bin by bin to the cheapest offering that holds what
// is in it, zones are balanced among equal prices, and the offerings that would do nearly
// as well are named, so that EC2 may pick the one that has capacity.
//
// [Solution].LowerBound is what no solution can cost less than. It follows from the
// resource prices: a bin cannot hold more worth than it costs.
//
// Complexity, t offerings of which u are not dominated, s shapes, b distinct bins: O(t·s)
// to group, O(u²·s) to drop the dominated, O(b·u·s²) for each rule of the portfolio. The
// number of tasks and of instances enters only through the number of distinct bins.
package pack
