package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/catalogue"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

type catalogueCmd struct {
	Show    catalogueShowCmd    `cmd:"" help:"Show the instance types that are built in, which the simulated AWS sells."`
	Refresh catalogueRefreshCmd `cmd:"" help:"Read all instance types of a region from AWS and write them as a catalogue."`
}

type catalogueShowCmd struct {
	Types  []string `arg:"" optional:"" name:"type" help:"Types or families to show, such as t3.large or m7g; default all."`
	Output string   `help:"How to print: table or json." enum:"table,json" default:"table" short:"o"`
}

// Help shows examples.
func (*catalogueShowCmd) Help() string {
	return `The catalogue is built into the program: real instance types with their shapes, network interfaces and
prices, as they were in one region at one time. Prices are in USD per hour.

Examples:
  neap catalogue show
  neap catalogue show m7g c5.large
  neap catalogue show -o json | jq '.types[] | select(.gpus > 0) | .type'`
}

// Run shows the catalogue.
func (s *catalogueShowCmd) Run(c console) error {
	table, err := catalogue.Embedded()
	if err != nil {
		return err
	}
	types := table.Types
	if len(s.Types) > 0 {
		types, err = chosenTypes(types, s.Types)
		if err != nil {
			return err
		}
	}
	if s.Output == "json" {
		return writeJSON(c.out, struct {
			Region  string           `json:"region"`
			Date    string           `json:"date"`
			Sources []string         `json:"sources"`
			Types   []catalogue.Type `json:"types"`
		}{table.Region, table.Date, table.Sources, types})
	}
	var b bytes.Buffer
	t := newTable(&b, "TYPE", "VCPUS", "MEMORY", "ARCH", "GPUS", "DISKS", "AWSVPC", "TRUNKED", "ON-DEMAND", "SPOT")
	for _, typ := range types {
		t.row(typ.Name, strconv.FormatInt(typ.VCPUs, 10), fmt.Sprintf("%g GiB", float64(typ.MemoryMiB)/1024), typ.Architecture,
			gpusOf(typ), orDash(typ.LocalGB, " GB"), strconv.FormatInt(typ.TaskENIs, 10), orDash(typ.TrunkTasks, ""),
			hourly(typ.OnDemand), hourly(typ.Spot))
	}
	t.end()
	fmt.Fprintln(&b, "#", table.Title())
	for _, line := range table.Sources {
		fmt.Fprintln(&b, "#", line)
	}
	_, err = b.WriteTo(c.out)
	return err
}

// chosenTypes are those of some names, each a type or a family.
func chosenTypes(types []catalogue.Type, names []string) ([]catalogue.Type, error) {
	var chosen []catalogue.Type
	for _, name := range names {
		before := len(chosen)
		for _, t := range types {
			if family, _, _ := strings.Cut(t.Name, "."); t.Name == name || family == name {
				chosen = append(chosen, t)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("%w: the catalogue has neither a type nor a family %q; neap catalogue show lists all", fleet.ErrInvalid, name)
		}
	}
	return chosen, nil
}

func gpusOf(t catalogue.Type) string {
	if t.GPUs == 0 {
		return "-"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", t.GPUs, t.GPUName))
}

func orDash(n int64, unit string) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10) + unit
}

func hourly(p fleet.Price) string {
	if p == 0 {
		return "-"
	}
	return strconv.FormatFloat(float64(p)/1e6, 'f', 4, 64)
}

type catalogueRefreshCmd struct {
	Output      string `help:"File to write; - is the standard output." required:"" placeholder:"FILE" short:"o"`
	Region      string `help:"AWS region; default as the AWS CLI has it." env:"AWS_REGION" placeholder:"REGION"`
	AWSEndpoint string `name:"aws-endpoint" help:"Another AWS, such as the one of neap aws." env:"AWS_ENDPOINT_URL" placeholder:"URL"`
}

// Help shows examples.
func (*catalogueRefreshCmd) Help() string {
	return `Reads what EC2 sells in a region: shapes (DescribeInstanceTypes), zones (DescribeInstanceTypeOfferings),
on-demand prices of Linux (the price list) and spot prices (DescribeSpotPriceHistory). How many tasks in
awsvpc mode a type holds with ENI trunking is in no API: that is from the library that AWS keeps, and from
what ECS documents as exceptions. How often spot is interrupted is in no API either: it stays as it was.

It changes nothing and needs ec2:Describe* and pricing:GetProducts. The file has the format of the
catalogue that is built into the program, libs/fleet/catalogue/types.csv.

Examples:
  neap catalogue refresh --region us-east-1 --output types.csv
  neap catalogue refresh --aws-endpoint http://127.0.0.1:4566 --region us-east-1 --output -`
}

// Run reads the catalogue and writes it.
func (r *catalogueRefreshCmd) Run(ctx context.Context, c console) error {
	account, err := cloud.Open(ctx, cloud.Config{Region: r.Region, Endpoint: r.AWSEndpoint})
	if err != nil {
		return err
	}
	sold, err := readSold(ctx, account.Reader(nil), c.err)
	if err != nil {
		return err
	}
	sold.region = account.Region()
	known, err := catalogue.Embedded()
	if err != nil {
		return err
	}
	sold.known = known.Types
	table := catalogue.Table{Region: sold.region, Date: account.Now().UTC().Format("2006-01-02"), Types: sold.catalogue(c.err), Sources: []string{
		"Read by neap catalogue refresh. Prices in millionths of USD/h; 0 is not known.",
		"Shapes: EC2 DescribeInstanceTypes. Zones: DescribeInstanceTypeOfferings. On-demand prices: AWS Price List, Linux. Spot prices (mean of the zones): DescribeSpotPriceHistory.",
		"Network interfaces with trunking: amazon-vpc-resource-controller-k8s (Apache-2.0), with the exceptions of ECS. Frequencies of interruption: taken over from an earlier catalogue.",
	}}
	var file bytes.Buffer
	if err := table.Write(&file); err != nil {
		return err
	}
	if r.Output == "-" {
		_, err := file.WriteTo(c.out)
		return err
	}
	if err := replaceFile(r.Output, file.Bytes()); err != nil {
		return fmt.Errorf("write catalogue: %w", err)
	}
	fmt.Fprintf(c.err, "wrote %d types to %s\n", len(table.Types), r.Output)
	return nil
}

// replaceFile writes a file whole or not at all.
func replaceFile(name string, content []byte) error {
	beside, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(beside.Name()) }() // it is gone, unless something failed
	const readable = 0o644
	_, err = beside.Write(content)
	for _, step := range []func() error{func() error { return beside.Chmod(readable) }, beside.Close} {
		if stepErr := step(); err == nil {
			err = stepErr
		}
	}
	if err != nil {
		return err
	}
	return os.Rename(beside.Name(), name)
}

// sold is what EC2 sells in a region, as AWS's APIs tell it.
type sold struct {
	region   string
	types    []cloud.TypeDetails
	offers   []snapshot.Offer
	onDemand []snapshot.Price
	spot     []snapshot.SpotPrice
	known    []catalogue.Type // the catalogue that is built in
}

// readSold reads all parts. Unlike the watcher, which does with what it gets, it wants all.
func readSold(ctx context.Context, reader *cloud.Reader, progress io.Writer) (*sold, error) {
	s := &sold{}
	var err error
	for _, part := range []struct {
		what string
		read func() (int, error)
	}{
		{"instance types", func() (int, error) { s.types, err = reader.TypeDetails(ctx); return len(s.types), err }},
		{"offers in zones", func() (int, error) { s.offers, err = reader.Offers(ctx); return len(s.offers), err }},
		{"on-demand prices", func() (int, error) { s.onDemand, err = reader.OnDemandPrices(ctx); return len(s.onDemand), err }},
		{"spot prices", func() (int, error) { s.spot, err = reader.SpotPrices(ctx); return len(s.spot), err }},
	} {
		fmt.Fprintf(progress, "reading %s ... ", part.what)
		n, err := part.read()
		if err != nil {
			fmt.Fprintln(progress)
			return nil, err
		}
		fmt.Fprintln(progress, n)
	}
	return s, nil
}

// catalogue puts the parts together. A type without a price is left out, and said so:
// nothing can be decided about it.
func (s *sold) catalogue(progress io.Writer) []catalogue.Type {
	onDemand := map[string]fleet.Price{}
	for _, p := range s.onDemand {
		onDemand[p.Type] = max(onDemand[p.Type], p.OnDemand)
	}
	zones := map[string][]string{}
	for _, o := range s.offers {
		zones[o.Type] = append(zones[o.Type], strings.TrimPrefix(o.Zone, s.region))
	}
	interrupted := map[string]string{}
	for _, t := range s.known {
		interrupted[t.Name] = t.Interrupted
	}
	spot := s.meanSpot()
	var types []catalogue.Type
	var unpriced []string
	for _, d := range s.types {
		if onDemand[d.Name] == 0 {
			unpriced = append(unpriced, d.Name)
			continue
		}
		slices.Sort(zones[d.Name])
		t := catalogue.Type{
			Name: d.Name, VCPUs: d.VCPUs, MemoryMiB: d.MemoryMiB, Architecture: string(fleet.X86),
			GPUs: d.GPUs, GPUName: d.GPUName, GPUMemoryMiB: d.GPUMemoryMiB, LocalGB: d.LocalGB, NetworkMbps: d.NetworkMbps,
			Metal: d.Metal, Burstable: d.Burstable, Hypervisor: d.Hypervisor, Previous: d.Previous,
			ENIs: d.Interfaces, TaskENIs: max(d.MaxENIs-1, 0), TrunkTasks: d.TrunkTasks,
			OnDemand: onDemand[d.Name], Spot: spot[d.Name], Interrupted: interrupted[d.Name], Zones: slices.Compact(zones[d.Name]),
		}
		if slices.Contains(d.Architectures, string(fleet.ARM)) {
			t.Architecture = string(fleet.ARM)
		}
		types = append(types, t)
	}
	slices.SortFunc(types, func(a, b catalogue.Type) int { return strings.Compare(a.Name, b.Name) })
	if len(unpriced) > 0 {
		slices.Sort(unpriced)
		fmt.Fprintf(progress, "left out without an on-demand price: %s\n", strings.Join(unpriced, " "))
	}
	return types
}

// meanSpot is the mean over the zones of the newest spot price, by type.
func (s *sold) meanSpot() map[string]fleet.Price {
	newest := map[[2]string]snapshot.SpotPrice{}
	for _, p := range s.spot {
		place := [2]string{p.Type, p.Zone}
		if old, ok := newest[place]; p.Spot > 0 && (!ok || p.At.After(old.At)) {
			newest[place] = p
		}
	}
	count, mean := map[string]fleet.Price{}, map[string]fleet.Price{}
	for _, p := range newest { // sums do not depend on the order
		count[p.Type]++
		mean[p.Type] += p.Spot
	}
	for name := range mean {
		mean[name] /= count[name]
	}
	return mean
}
