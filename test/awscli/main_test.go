package awscli_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is printed into the documents")

// tools is a folder with the commands that transcripts use: neap, and the AWS CLI as aws.
var tools string

// TestMain builds neap and finds the AWS CLI, once.
func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "neap-awscli-")
		if err != nil {
			fmt.Fprintln(os.Stderr, "make a folder for the tools:", err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		tools = dir
		if err := equip(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func equip(dir string) error {
	if err := client.find(); err != nil {
		return err
	}
	if err := os.Symlink(client.path, filepath.Join(dir, "aws")); err != nil {
		return fmt.Errorf("link the AWS CLI: %w", err)
	}
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "github.com/neap-project/neap/cmd/neap")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build neap: %w\n%s", err, out)
	}
	return nil
}

// client is the AWS CLI that was found.
var client cli

type cli struct {
	path  string
	first bool // its major version is the first, which ends with 255 where later ones end with 254
}

// find looks for an AWS CLI by what it says it is: other programs are called aws, too. The
// second major version is preferred, since distributions ship it.
func (c *cli) find() error {
	for _, folder := range filepath.SplitList(os.Getenv("PATH")) {
		path, err := exec.LookPath(filepath.Join(folder, "aws"))
		if err != nil {
			continue
		}
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
		version, err := exec.Command(path, "--version").CombinedOutput() // to one or the other
		switch {
		case err != nil || !strings.HasPrefix(string(version), "aws-cli/"):
		case !strings.HasPrefix(string(version), "aws-cli/1."):
			*c = cli{path: path}
			return nil
		case c.path == "":
			*c = cli{path: path, first: true}
		}
	}
	if c.path == "" {
		return errors.New("these tests drive the AWS CLI, and none is on the PATH: run scripts/deps.sh, or install the package awscli")
	}
	return nil
}
