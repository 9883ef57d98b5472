// Package e2e tests the system as a whole, on the stage that package harness sets: what a
// crash, a second replica, a bad message or a person's button must lead to, one at a time.
// Package chaos does the same by chance, and all at once.
//
//	go test -short ./test/e2e                            minutes
//	go test ./test/e2e -run Killed -artifacts -v         one test; the logs of all processes are kept
package e2e
