// Package bus carries Neap's messages over NATS JetStream: snapshots, plans and outcomes,
// the ledger of the executors, the control bucket with the red button and the policies,
// and the leases that share out the work.
//
// What exists on the server is declared as data in topology.go and created by [Bootstrap]
// alone; a running service creates nothing. Every subject, stream and bucket carries the
// generation, one life of the JetStream state: a process of an earlier one finds nothing
// to write to.
//
//	snapshots   PublishSnapshot, LatestSnapshot, WatchSnapshots: the newest counts, the rest is skipped
//	plans       AppendPlan, LastPlan, Plans, ConsumePlans, WatchPlans: a chain by compare-and-set
//	outcomes    PublishOutcome, Outcomes, WatchOutcomes: audit, and what the planner learns from
//	ledger      Ledger: how far an action got, compare-and-set
//	control     Control: pause, policies, protection, generation; always read from the leader
//	leases      Lease: who works on what. Steering only, never safety
//	discovery   Announce, Discover: which processes run, and how they fare
//
// Everything may be delivered twice, late and out of order. What arrives is checked at the
// door: header, checksum, size, version, content. What can never be read is copied to the
// quarantine stream with its headers and is not delivered again.
package bus
