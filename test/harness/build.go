package harness

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const module = "github.com/neap-project/neap"

// Services are the processes of an installation, in the order in which they are started.
var Services = []string{"watcher", "planner", "actuator", "drainer"}

// bin is where the binaries are.
var bin string

// atOnce is how many tests run side by side: they wait far more than they compute.
const atOnce = "6"

// Main is the TestMain of a package: it builds every binary once, those of more packages
// too, and runs the tests.
func Main(m *testing.M, more ...string) {
	if err := flag.Set("test.parallel", atOnce); err != nil { // -parallel on the command line comes later, and wins
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "neap-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, "make a folder for the binaries:", err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		bin = dir
		if err := build(dir, more); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func build(dir string, more []string) error {
	// As they are in their images, so that what is tested is what is shipped.
	args := []string{"build", "-trimpath", "-o", dir + string(filepath.Separator), module + "/cmd/neap"}
	for _, name := range Services {
		args = append(args, module+"/services/"+name+"/cmd/"+name)
	}
	cmd := exec.Command("go", append(args, more...)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the binaries: %w\n%s", err, out)
	}
	return nil
}
