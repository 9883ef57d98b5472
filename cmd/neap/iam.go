package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/fleet"
)

type iamCmd struct {
	Cluster      []string `help:"ECS cluster to allow; may be given more than once, any if not." placeholder:"NAME"`
	Installation string   `help:"Installation whose instances are allowed, as in their tag neap.dev/owner." placeholder:"NAME"`
	Account      string   `help:"AWS account to allow." placeholder:"ID"`
	Region       string   `help:"Region to allow." placeholder:"REGION"`
	Partition    string   `help:"Partition to allow, such as aws or aws-cn." placeholder:"NAME"`
	NodeRole     string   `help:"IAM role that instances run under, which alone the actuator may pass on." placeholder:"NAME"`
	Queue        string   `help:"SQS queue with the events of ECS and EC2." placeholder:"NAME"`
	Output       string   `help:"How to print: text, json (a policy document for each service), terraform (save as neap.tf.json) or cloudformation." enum:"text,json,terraform,cloudformation" default:"text" short:"o"`
}

// Help shows examples.
func (*iamCmd) Help() string {
	return `Prints the least that each service must be allowed; the planner and the console call no AWS and need nothing.

  neap iam
  neap iam --cluster web --account 123456789012 --node-role ecsInstanceRole -o json
  neap iam --cluster web -o terraform > neap.tf.json

Spot instances need the service-linked role AWSServiceRoleForEC2Spot, which an administrator makes once for an account; volumes
encrypted by a key of yours need a grant of that key.`
}

// Run prints the policies.
func (i *iamCmd) Run(c console) error {
	if err := i.check(); err != nil {
		return err
	}
	policies, err := cloud.Policies(cloud.PermissionScope{
		Partition: i.Partition, Region: i.Region, Account: i.Account, Clusters: i.Cluster,
		Installation: i.Installation, NodeRole: i.NodeRole, Queue: i.Queue,
	})
	if err != nil {
		return err
	}
	switch i.Output {
	case "json":
		return writeJSON(c.out, policies)
	case "terraform":
		return writeTerraform(c.out, policies)
	case "cloudformation":
		return writeCloudFormation(c.out, policies)
	}
	return printPolicies(c.out, policies)
}

// check refuses what would make a policy that never matches, or one wider than it looks.
func (i *iamCmd) check() error {
	name := regexp.MustCompile(`^[A-Za-z0-9+=,.@_/-]+$`)
	for _, f := range []struct {
		flag, value, want string
		pattern           *regexp.Regexp
	}{
		{"account", i.Account, "12 digits", regexp.MustCompile(`^\d{12}$`)},
		{"region", i.Region, "a region, such as eu-west-1", regexp.MustCompile(`^[a-z0-9-]+$`)},
		{"partition", i.Partition, "aws, aws-cn or aws-us-gov", regexp.MustCompile(`^aws[a-z-]*$`)},
		{"installation", i.Installation, "its name, without wildcards", name},
		{"node-role", i.NodeRole, "the name of a role, not its ARN", name},
		{"queue", i.Queue, "the name of a queue, not its URL", regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)},
	} {
		if f.value != "" && !f.pattern.MatchString(f.value) {
			return fmt.Errorf("%w: --%s %q: use %s", fleet.ErrInvalid, f.flag, f.value, f.want)
		}
	}
	clusterName := regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	for _, cluster := range i.Cluster {
		if !clusterName.MatchString(cluster) {
			return fmt.Errorf("%w: --cluster %q: use the name of a cluster, of letters, digits, - and _; not its ARN", fleet.ErrInvalid, cluster)
		}
	}
	return nil
}

func printPolicies(w io.Writer, policies map[string]cloud.PolicyDocument) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERVICE\tSTATEMENT\tACTIONS\tONLY IF")
	for _, service := range slices.Sorted(maps.Keys(policies)) {
		for _, s := range policies[service].Statement {
			var keys []string
			for _, of := range s.Condition {
				keys = slices.AppendSeq(keys, maps.Keys(of))
			}
			slices.Sort(keys)
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", service, s.Sid, strings.Join(s.Action, " "), strings.Join(keys, " "))
		}
	}
	fmt.Fprintln(table, "planner\tnone\t\t\nconsole\tnone\t\t")
	return table.Flush()
}

// writeTerraform writes the policies in the JSON syntax of Terraform.
func writeTerraform(w io.Writer, policies map[string]cloud.PolicyDocument) error {
	resources, outputs := map[string]any{}, map[string]any{}
	for service, p := range policies {
		document, err := json.Marshal(p)
		if err != nil {
			return err
		}
		name := "neap_" + service
		resources[name] = map[string]string{"name": "neap-" + service, "description": describePolicy(service), "policy": string(document)}
		outputs[name+"_policy_arn"] = map[string]string{"value": "${aws_iam_policy." + name + ".arn}"}
	}
	return writeJSON(w, map[string]any{"resource": map[string]any{"aws_iam_policy": resources}, "output": outputs})
}

// writeCloudFormation writes the policies as a template, which takes JSON as well as YAML.
func writeCloudFormation(w io.Writer, policies map[string]cloud.PolicyDocument) error {
	resources, outputs := map[string]any{}, map[string]any{}
	for service, p := range policies {
		name := "Neap" + strings.ToUpper(service[:1]) + service[1:] + "Policy"
		resources[name] = map[string]any{
			"Type":       "AWS::IAM::ManagedPolicy",
			"Properties": map[string]any{"Description": describePolicy(service), "PolicyDocument": p},
		}
		outputs[name+"Arn"] = map[string]any{"Value": map[string]string{"Ref": name}}
	}
	return writeJSON(w, map[string]any{
		"AWSTemplateFormatVersion": "2010-09-09", "Description": "IAM policies of the services of Neap",
		"Resources": resources, "Outputs": outputs,
	})
}

func describePolicy(service string) string { return "What the " + service + " of Neap may do" }
