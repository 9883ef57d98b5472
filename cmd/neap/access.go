package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/fleet"
)

// accessCmd groups what has to do with users of NATS and Redis.
type accessCmd struct {
	Create accessCreateCmd `cmd:"" help:"Make keys and passwords, and the configuration of NATS and Redis that lets in who has them."`
	Print  accessPrintCmd  `cmd:"" help:"Show what each user is allowed."`
}

type accessCreateCmd struct {
	Dir        string `help:"Folder to write to; what is there already is kept." placeholder:"DIR" required:""`
	Generation uint64 `help:"Generation of the streams, see neap bootstrap." default:"1"`
	Prefix     string `help:"What every key of Redis starts with." env:"REDIS_PREFIX" default:"neap:"`
}

// Help shows examples.
func (*accessCreateCmd) Help() string {
	return `Every service gets a user of its own on NATS and on Redis, which may do what the service does and nothing else. The folder then holds

  nats.conf          users and permissions: include it into the configuration of nats-server
  users.acl          users and permissions: the aclfile of redis-server
  USER.nk            seed of the user's nkey: NATS_NKEY_FILE, with NATS_INBOX_PREFIX=_INBOX_USER
  USER.redis         password of the user: REDIS_PASSWORD_FILE, with redis://USER@host:6379/0

Run again it keeps the keys and passwords and writes the rest anew, as after an upgrade. To replace a key, delete its file first. The first two hold no secrets.

Examples:

  neap access create --dir access
  kubectl create secret generic neap-access --from-file access/`
}

// Run makes the files.
func (a *accessCreateCmd) Run(c console) error {
	if a.Generation == 0 {
		return fmt.Errorf("%w: --generation 0: generations count from 1", fleet.ErrInvalid)
	}
	if err := os.MkdirAll(a.Dir, 0o700); err != nil {
		return fmt.Errorf("%w: --dir: %w", fleet.ErrInvalid, err)
	}
	keys, passwords := map[string]string{}, map[string]string{}
	for _, user := range bus.Users() {
		seed, err := a.secret(user+".nk", bus.NewSeed)
		if err != nil {
			return err
		}
		if keys[user], err = bus.PublicKey(seed); err != nil {
			return fmt.Errorf("%s: %w; delete it, and a new one is made", filepath.Join(a.Dir, user+".nk"), err)
		}
	}
	for _, one := range cache.AccessList() {
		var err error
		if passwords[one.User], err = a.secret(one.User+".redis", func() (string, error) { return rand.Text(), nil }); err != nil {
			return err
		}
	}
	config, err := bus.ServerConfig(bus.AccessOf(a.Generation), keys)
	if err != nil {
		return err
	}
	acl, err := cache.ACL(a.Prefix, cache.AccessList(), passwords)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"nats.conf": config, "users.acl": acl} {
		if err := a.replace(name, text); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.out, "%s holds nats.conf, users.acl, and the keys and passwords of %s\n", a.Dir, strings.Join(bus.Users(), ", "))
	return err
}

// secret is what a file holds, which is written if it is not there.
func (a *accessCreateCmd) secret(name string, fresh func() (string, error)) (string, error) {
	path := filepath.Join(a.Dir, name)
	content, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(content)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w: %w", fleet.ErrInvalid, err)
	}
	text, err := fresh()
	if err != nil {
		return "", err
	}
	return text, a.replace(name, text)
}

// replace writes a file whole or not at all.
func (a *accessCreateCmd) replace(name, text string) error {
	path := filepath.Join(a.Dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(path+".new", path)
}

type accessPrintCmd struct {
	Generation uint64 `help:"Generation of the streams, see neap bootstrap." default:"1"`
	Output     string `help:"How to print: table or json." enum:"table,json" default:"table" short:"o"`
}

// Help shows examples.
func (*accessPrintCmd) Help() string {
	return "Examples:\n  neap access print\n  neap access print --output json"
}

// Run prints what users may do.
func (a *accessPrintCmd) Run(c console) error {
	if a.Output == "json" {
		return writeJSON(c.out, struct {
			NATS  []bus.Access   `json:"nats"`
			Redis []cache.Access `json:"redis"`
		}{bus.AccessOf(a.Generation), cache.AccessList()})
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "USER\tWHERE\tMAY\tWHAT")
	for _, one := range bus.AccessOf(a.Generation) {
		for _, subject := range one.Deny {
			fmt.Fprintf(w, "%s\tNATS\tnot publish\t%s\n", one.User, subject)
		}
		for _, subject := range one.Publish {
			fmt.Fprintf(w, "%s\tNATS\tpublish\t%s\n", one.User, subject)
		}
		for _, subject := range one.Subscribe {
			fmt.Fprintf(w, "%s\tNATS\tsubscribe\t%s\n", one.User, subject)
		}
	}
	for _, one := range cache.AccessList() {
		for _, key := range one.Write {
			fmt.Fprintf(w, "%s\tRedis\tread and write\t%s*\n", one.User, key)
		}
		for _, key := range one.Read {
			fmt.Fprintf(w, "%s\tRedis\tread\t%s*\n", one.User, key)
		}
	}
	return w.Flush()
}
