// Package chaos lets everything fail at once, by chance: two replicas of each service, a
// NATS cluster of three nodes, Redis, and the simulated AWS, as processes of their own, with
// a proxy on every link between them. For a while processes are killed, frozen and
// restarted, nodes and links fail and load changes. All the time the truth of the simulated
// AWS is looked at for what must never happen. Then everything heals, and the cluster must
// come to rest with every task running; in the end the whole history is audited.
//
//	go test ./test/chaos -short                          a short storm
//	make chaos FOR=1h                                    a long one, of a random seed
//	go test ./test/chaos -v -seed 7 -for 2m -artifacts   one again, with the logs of all
//
// The seed gives the order of the faults and not the moments at which they meet the
// processes, so a failure may need several runs to show again. Package sim's world is the
// place for what must repeat exactly.
package chaos
