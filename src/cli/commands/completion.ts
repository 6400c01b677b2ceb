import { defineCommand } from "../command.ts";

export const command = defineCommand({
  usage: ["bash|zsh|fish"],
  details: ["Commands, options, prompt names, labels and versions, from the registry that the line is about."],
  arguments: [{ name: "SHELL", kind: "word", choices: ["bash", "zsh", "fish"] }],
  options: {},
  examples: [
    ['eval "$(prompt-registry completion bash)"', "in ~/.bashrc"],
    ["prompt-registry completion zsh > ~/.zfunc/_prompt-registry", "for zsh, with ~/.zfunc in fpath before compinit"],
    ["prompt-registry completion fish > ~/.config/fish/completions/prompt-registry.fish", "for fish"],
  ],
  async run(context, { positionals }) {
    const shell = positionals[0] as keyof typeof SCRIPTS;
    if (context.json) context.terminal.json({ shell, script: SCRIPTS[shell] });
    else context.terminal.out(SCRIPTS[shell]);
    return undefined;
  },
});

const BASH = `# bash completion for prompt-registry
_prompt_registry() {
  local line word cur stripped candidate
  local -a words
  # Split at spaces only: COMP_WORDS is also split at the @ of a selector and the : of a storage.
  line=\${COMP_LINE:0:COMP_POINT}
  read -ra words <<< "$line"
  if [[ $line == *[[:space:]] ]]; then words+=(""); fi
  cur=\${words[\${#words[@]}-1]}
  # bash replaces only what follows the last of these characters.
  stripped=""
  if [[ $cur == *[@:=]* ]]; then
    word=\${cur##*[@:=]}
    [[ $COMP_WORDBREAKS == *\${cur:\${#cur}-\${#word}-1:1}* ]] && stripped=\${cur%"$word"}
  fi
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate _; do
    case $candidate in
      :file) compopt -o filenames; while read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$cur") ;;
      :folder) compopt -o filenames; while read -r word; do COMPREPLY+=("$word"); done < <(compgen -d -- "$cur") ;;
      *) COMPREPLY+=("\${candidate#"$stripped"}") ;;
    esac
  done < <("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null)
}
complete -F _prompt_registry prompt-registry
`;

const ZSH = `#compdef prompt-registry
# zsh completion for prompt-registry
_prompt_registry() {
  local line candidate what
  local -a found
  for line in "\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    candidate="\${line%%$'\\t'*}"
    what="\${line#*$'\\t'}"
    case $candidate in
      '') ;;
      :file) _files; return ;;
      :folder) _files -/; return ;;
      *) if [[ $what == $candidate ]]; then found+=("\${candidate//:/\\\\:}"); else found+=("\${candidate//:/\\\\:}:$what"); fi ;;
    esac
  done
  (( \${#found} )) && _describe 'prompt-registry' found
}
if [[ $funcstack[1] == _prompt_registry || $funcstack[1] == _prompt-registry ]]; then
  _prompt_registry "$@"
else
  compdef _prompt_registry prompt-registry
fi
`;

const FISH = `# fish completion for prompt-registry
function __prompt_registry
    set -l words (commandline -opc)
    set -l found ($words[1] __complete -- $words[2..-1] (commandline -ct) 2>/dev/null)
    switch "$found[1]"
        case :file
            __fish_complete_path (commandline -ct)
        case :folder
            __fish_complete_directories (commandline -ct)
        case '*'
            printf '%s\\n' $found
    end
end
complete -c prompt-registry -f -a '(__prompt_registry)'
`;

const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH } as const;
