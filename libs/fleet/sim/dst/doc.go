// Package dst plays the whole of Neap, with everything that can go wrong, in one goroutine
// from one seed: deterministic simulation testing.
//
// What decides is the real code: snapshots are joined by package snapshot, plans made by
// package plan, actions driven by package execute with the state machines of action and
// drain, and remembered by package outcome. Around it everything is simulated: several
// replicas of each service, a bus with the habits of JetStream, a cache, AWS (package sim),
// and one virtual clock. A first phase injects the faults of the list in docs/reliability.md;
// then the faults end, and within the second phase all must come to rest. A checker watches
// every plan and every call.
//
// [Play] plays a recorded workload instead, with nothing going wrong, and says what it costs.
//
// [Run] plays one seed. The same configuration gives the same history, byte for byte.
//
// Where to find what: kernel (time and threads), system (what there is), bus and durable
// (JetStream), aws (calls and their faults), eye (reading a cluster), watcher, planner,
// actuator and drainer (the services' loops), story (what the users of the cluster do), trace (what they did, recorded), fault
// and fault_* (what goes wrong), check and check_* (what must hold), shrink (the shortest story),
// alone (the bus and the cache by themselves, to be held against the real ones).
package dst
