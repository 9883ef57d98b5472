// Package harness runs Neap for tests the way people run it: the neap binary and the four
// services as processes of their own, a real nats-server, a real redis-server, and the
// simulated AWS of `neap aws` behind HTTP. Nothing of Neap runs within the test but the
// means to look on.
//
// A test sets the world up and changes it through scripts of package sim, and compares what
// is promised with the truth of that world: what ran, what was launched, what it cost, and
// whether anything happened that must never happen. Nothing sleeps: each expectation is
// polled until it holds or its time is up, and then the test says what it saw last.
package harness
