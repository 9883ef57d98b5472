// Package fleet is the vocabulary of Neap: what a cluster is, what may be decided
// about it, and what came of it.
//
// A cluster becomes a [Snapshot], a Snapshot becomes a [Plan], a Plan's [Action]s are
// executed and leave [Outcome]s. The subpackages turn one into the next, as pure
// functions: no network, no clock, no goroutine, no log, no global randomness.
//
//	snapshot/  Assemble: what AWS answered → Snapshot
//	query/     the ECS cluster query language
//	place/     where ECS would put a task: eligibility, strategies, rehearsal
//	pack/      which instances to launch for what fits nowhere
//	plan/      Make(Snapshot, Policy, Memory) → Plan
//	action/    the life of a launch:  Step(State, Event) → (State, Effects)
//	drain/     the life of a drain:   Step(State, Event) → (State, Effects)
//	outcome/   Fold(Memory, Outcome): what the planner learns from what happened
//	sim/       a simulated ECS and EC2 to run all of it against
//
// Import order: fleet ← query ← place, pack ← plan; sim may import all of them.
package fleet
