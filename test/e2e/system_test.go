package e2e_test

import (
	"testing"

	"github.com/neap-project/neap/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// system is the installation of a test, with what several tests here do to it.
type system struct{ *harness.System }

func start(t *testing.T, script string) *system {
	t.Helper()
	return &system{harness.Start(t, script)}
}
