// Package clusterquery evaluates the cluster query language of ECS, as the simulated ECS
// answers ListContainerInstances with a filter.
//
// It is the simulator's own evaluator, written from ECS's documentation without a look at
// the one that Neap decides with: a misreading that both share would have to be made
// twice. The two work differently, too. This one reads the text anew for each container
// instance and computes while it reads; its regular expressions are Java's, matched by
// trying and backing up, within a number of steps.
//
// What ECS's documentation leaves open is decided so: "not" binds closer than "and", and
// "and" closer than "or"; operators and words are lower case; a literal in quotes may hold
// anything but its quote, and nothing is escaped in it; a pattern must match the whole
// value; every comparison asks whether there is a value for which it holds, so that with an
// attribute that the instance does not have it is false, also that it differs, and that
// groups differ holds if one does; attributes are compared as decimal numbers where both
// sides are some, else as text; times are compared to the second.
package clusterquery
