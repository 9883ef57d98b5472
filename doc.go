// Package neap is the root of the workspace. It holds no code, only the rules
// every other package keeps: repo_test.go checks them.
//
// Start reading at libs/fleet, the autoscaler as pure functions. libs/adapters
// talks to the outside world, services/ loops around one pure package each,
// and cmd/neap is the one binary a person types.
package neap
