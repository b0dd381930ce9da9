"""Completion for PowerShell."""

import re

from tissu_cli.reference.tree import Command
from tissu_cli.reference.words import word_table

_HEAD = """\
# Completion of tissu for PowerShell, made from the command tree.

Register-ArgumentCompleter -Native -CommandName tissu -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # What can follow: a word and what it is, or after @ where more is found.
    $table = @{"""

_ENGINE = """\
    }
    $command = 'tissu'
    $option = ''
    $typed = $commandAst.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition }
    foreach ($element in $typed) {
        $word = $element.Extent.Text
        if ($option) { $option = '' }
        elseif ($table.ContainsKey("$command $word")) {
            if ($word.StartsWith('-')) { $option = " $word" } else { $command += " $word" }
        }
    }
    $before = ''
    $current = "$wordToComplete"
    if (-not $option) {
        if ($current -match '^(--[^=]+)=(.*)$') {
            $before = $Matches[1] + '='
            $option = ' ' + $Matches[1]
            $current = $Matches[2]
        } elseif ($current.StartsWith('-')) { $option = ' -*' }
    }
    foreach ($entry in $table["$command$option"]) {
        $text, $help = $entry -split ' ', 2
        if ($text -eq '@files' -or $text -eq '@directories') {
            if (-not $before) {
                [System.Management.Automation.CompletionCompleters]::CompleteFilename($current)
            }
            continue
        }
        $names = if ($text.StartsWith('@')) { tissu __complete $text.Substring(1) 2>$null }
            else { $text }
        foreach ($name in $names) {
            if (-not $name.StartsWith($current, [StringComparison]::Ordinal)) { continue }
            $about = if ($help) { $help } else { $name }
            [System.Management.Automation.CompletionResult]::new(
                $before + $name, $name, 'ParameterValue', $about)
        }
    }
}
"""


def powershell_completion(tree: Command) -> str:
    """The file for PowerShell."""
    lines = [_HEAD]
    for key, words in word_table(tree).items():
        found = ", ".join(_quote(f"{word.text} {word.help}".rstrip()) for word in words)
        lines.append(f"        {_quote(key)} = @({found})")
    return "\n".join([*lines, _ENGINE])


def _quote(text: str) -> str:
    """A string that nothing is expanded in; PowerShell takes curved quotes for straight ones."""
    return "'" + re.sub("['\u2018-\u201b]", r"\g<0>\g<0>", text) + "'"
