// Package pack chooses which instances to launch for tasks that fit nowhere: the cheapest
// set of instances that holds them all. That is variable-sized vector bin packing with
// prices, which nobody solves exactly at this size; what helps is that tasks come in few
// shapes. So items are shapes with counts, and equal bins are filled once and counted.
//
// [Solve] goes from rough to fine, as far as the [Effort] allows:
//
//   - Offerings that another one dominates are dropped. A linear program with one variable
//     a resource and class of task sizes says what a unit of CPU or memory is worth (prices).
//   - Greedy rules open the offering with the most worth per dollar, as often as the demand
//     allows; those that use up all resources of an instance evenly are often good enough
//     (portfolio).
//   - Column generation solves the linear program over all patterns, that is filled bins,
//     of which there are far too many to list: a master buys fractions of known patterns
//     (master), and a search for the most valuable filling of each offering finds what it
//     lacks (generate, knapsack, relax).
//   - A dive buys what the master buys whole or nearly, and solves again for what is left
//     (dive). Some instances are emptied and packed anew while that saves money (refine).
//   - Limits are applied last (limits); zones are balanced among equal prices, and the
//     offerings that would do nearly as well are named, so that EC2 may pick the one that
//     has capacity (finish).
//
// [Solution].LowerBound is what no solution can cost less than. It follows from prices of
// tasks under which no filling of any offering is worth more than it costs: those of the
// resources, or better ones from column generation, scaled down by the most that any
// filling exceeds its price (Farley 1990). The knapsack search proves that most: a filling
// that it drops counts with the upper bound of what it could have become.
//
// [Warm] keeps what it found for the next problem, which differs little (warm).
//
// Effort is counted in steps, never by a clock: a problem has one solution, on every
// machine and in whatever order it is listed.
//
// Complexity, t offerings of which u are not dominated, s shapes: O(t·s) to group, O(u·t)
// to drop the dominated; a round of column generation takes O(s² + patterns) a pivot and
// O(u·s·width·copies) to look for patterns. Demands of more shapes than one master takes
// are dealt out to several. The number of tasks enters only through the number of distinct
// bins. The steps of an effort bound all of it.
package pack
