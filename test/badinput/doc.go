// Package badinput feeds Neap what nobody should: the list of bad inputs B1 to B27 of issue 6
// and of docs/reliability.md, each to the decoder that would meet it. Nothing may panic, run
// away or be taken for something else. FuzzView goes on from the same inputs.
package badinput
