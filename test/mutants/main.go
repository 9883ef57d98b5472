// Command mutants takes the guards out of Neap, one after the other, and shows that the
// simulation notices each.
//
// A guard is a check that stands between a fault and harm: a compare-and-set, a second look
// at an instance, a budget. guards.txt lists them, each as the edit that removes it. For each
// the simulation is built with the edit laid over the source, which stays as it is, and plays
// stories until what must hold does not. A guard whose absence nobody notices is one that
// nothing proves: then the checker or the stories of package dst lack something.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}
