// Package place decides where ECS would put a task. It is the placement half of the ECS
// service scheduler as pure functions: the planner counts with it what fits on what is
// there, rehearses with it what a plan would lead to, and the simulated ECS runs on it.
//
// A [Cluster] is a set of nodes, real or hypothetical, that changes step by step: nodes
// are added, removed, opened and closed, tasks are put on them and taken off. [Mark] and
// [Cluster.Rollback] undo any number of steps, so that "what if" costs no copy.
//
// A node is eligible for a task if it is open and passes every filter of ECS: capacity
// provider, required attributes, zone, CPU, memory, GPUs, network interfaces, host ports,
// memberOf expressions and distinctInstance. Why one is not is data: a [Refusal]. Among
// eligible nodes the placement strategy chooses: each rule narrows the candidates to the
// best by its measure, and what is left over is a tie.
//
// Complexity, n nodes: to place a task is a survey of the nodes, O(n), most of them passed
// over by a glance at their room. Where a dozen tasks of a group or more are placed with
// little else between, a tournament tree per value that the task spreads over holds the
// eligible nodes, best first: O(n) to build, then O(c log n) for each task placed, where c
// is the number of nodes that changed since the last. Both choose the same node. Where any
// eligible node without a task of the group is as good as any, as by the default strategy,
// PlaceUpTo and PlaceEach take a glance instead: trees of free room, one for each value and
// shared by all tasks, lead to the first in O(log n) as a rule, and with chance a few draws
// hit one of many that are tied, so that O(n) is left for services that have a task on nearly
// every node, for binpack, and for spreads over several fields. How nodes fall into values is found once for all tasks, O(n log n). Whether the attributes of a
// node meet the constraints of a task is decided once per task and distinct attribute set.
// Fit is a first fit over a tree of free room: O(log n) as a rule, O(n) if constraints
// refuse many nodes that have room; that a task fits nowhere is remembered until a node has
// more room. A cluster is made of a canonical snapshot in O(rows of its task table).
package place
