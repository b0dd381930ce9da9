# Completion of tissu for bash, made from the command tree.

# Sets takes to what can follow; false where nothing is known.
_tissu_words() {
    case $1 in
        tissu) takes=(train watch tokenize runs chat generate eval inspect quantize export models init config doctor completions) ;;
        'tissu -*') takes=(--version --debug --quiet -h --help) ;;
        'tissu train') takes=(@files) ;;
        'tissu train -*') takes=(--demo --resume --fallback --override --accept-data-change --view --detach --dry-run --config --set --name --out --preset --depth --layers --width --heads --kv-heads --context --vocab-size --norm --ffn --pos --window --tie-embeddings --no-tie-embeddings --qk-norm --no-qk-norm --bias --no-bias --init --dropout --attn-dropout --val-fraction --tokenizer --follow-symlinks --no-follow-symlinks --format --encoding --on-bad --text-column --label-smoothing --z-loss --embed-noise --neftune --document-mask --no-document-mask --optimizer --lr --schedule --warmup --final-lr --decay-fraction --milestones --gamma --weight-decay --clip-value --clip-norm --ema --steps --tokens --epochs --minutes --patience --batch-tokens --batch-ramp --grad-accum --eval-every --eval-suite --save-every --keep --hist-every --sample-prompt --seed --device --threads --precision --compile --no-compile --checkpoint-activations --attn-impl --gpus --procs --shard --tp --pp --from --freeze --profile --profile-steps -h --help) ;;
        'tissu train --resume') takes=(last @runs @directories) ;;
        'tissu train --view') takes=(auto panel dashboard log json) ;;
        'tissu train --config') takes=(@files) ;;
        'tissu train --set') takes=() ;;
        'tissu train --name') takes=() ;;
        'tissu train --out') takes=(@directories) ;;
        'tissu train --preset') takes=(auto nano micro small base) ;;
        'tissu train --depth') takes=() ;;
        'tissu train --layers') takes=() ;;
        'tissu train --width') takes=() ;;
        'tissu train --heads') takes=() ;;
        'tissu train --kv-heads') takes=() ;;
        'tissu train --context') takes=() ;;
        'tissu train --vocab-size') takes=() ;;
        'tissu train --norm') takes=(rmsnorm layernorm) ;;
        'tissu train --ffn') takes=(swiglu geglu_tanh gelu gelu_tanh relu relu2) ;;
        'tissu train --pos') takes=(rope alibi learned sinusoidal) ;;
        'tissu train --window') takes=() ;;
        'tissu train --init') takes=(identity gpt2 xavier_uniform xavier_normal kaiming_uniform kaiming_normal) ;;
        'tissu train --dropout') takes=() ;;
        'tissu train --attn-dropout') takes=() ;;
        'tissu train --val-fraction') takes=() ;;
        'tissu train --tokenizer') takes=(@models @files) ;;
        'tissu train --format') takes=(auto text chats) ;;
        'tissu train --encoding') takes=() ;;
        'tissu train --on-bad') takes=(skip replace stop) ;;
        'tissu train --text-column') takes=() ;;
        'tissu train --label-smoothing') takes=() ;;
        'tissu train --z-loss') takes=() ;;
        'tissu train --embed-noise') takes=() ;;
        'tissu train --neftune') takes=() ;;
        'tissu train --optimizer') takes=(muon adamw rmsprop adam sgd) ;;
        'tissu train --lr') takes=() ;;
        'tissu train --schedule') takes=(cosine wsd linear step constant) ;;
        'tissu train --warmup') takes=() ;;
        'tissu train --final-lr') takes=() ;;
        'tissu train --decay-fraction') takes=() ;;
        'tissu train --milestones') takes=() ;;
        'tissu train --gamma') takes=() ;;
        'tissu train --weight-decay') takes=() ;;
        'tissu train --clip-value') takes=() ;;
        'tissu train --clip-norm') takes=() ;;
        'tissu train --ema') takes=() ;;
        'tissu train --steps') takes=() ;;
        'tissu train --tokens') takes=() ;;
        'tissu train --epochs') takes=() ;;
        'tissu train --minutes') takes=() ;;
        'tissu train --patience') takes=() ;;
        'tissu train --batch-tokens') takes=() ;;
        'tissu train --batch-ramp') takes=() ;;
        'tissu train --grad-accum') takes=() ;;
        'tissu train --eval-every') takes=() ;;
        'tissu train --eval-suite') takes=() ;;
        'tissu train --save-every') takes=() ;;
        'tissu train --keep') takes=() ;;
        'tissu train --hist-every') takes=() ;;
        'tissu train --sample-prompt') takes=() ;;
        'tissu train --seed') takes=() ;;
        'tissu train --device') takes=(auto cpu cuda mps) ;;
        'tissu train --threads') takes=() ;;
        'tissu train --precision') takes=(auto fp32 bf16 fp16 fp8) ;;
        'tissu train --checkpoint-activations') takes=(none block ffn) ;;
        'tissu train --attn-impl') takes=(auto sdpa flash flex eager) ;;
        'tissu train --gpus') takes=() ;;
        'tissu train --procs') takes=() ;;
        'tissu train --shard') takes=(none optim grad full) ;;
        'tissu train --tp') takes=() ;;
        'tissu train --pp') takes=() ;;
        'tissu train --from') takes=(@models @files) ;;
        'tissu train --freeze') takes=() ;;
        'tissu train --profile') takes=(cpu memory) ;;
        'tissu train --profile-steps') takes=() ;;
        'tissu watch') takes=(@runs @directories) ;;
        'tissu watch -*') takes=(--plain --once --json -h --help) ;;
        'tissu tokenize') takes=(train import encode decode stats compare show) ;;
        'tissu tokenize -*') takes=(-h --help) ;;
        'tissu tokenize train') takes=(@files) ;;
        'tissu tokenize train -*') takes=(-o --out --json --type --vocab-size --pattern --encoding --on-bad --text-column -h --help) ;;
        'tissu tokenize train -o') takes=(@directories) ;;
        'tissu tokenize train --out') takes=(@directories) ;;
        'tissu tokenize train --type') takes=(bpe char word) ;;
        'tissu tokenize train --vocab-size') takes=() ;;
        'tissu tokenize train --pattern') takes=(qwen2 gpt2 code) ;;
        'tissu tokenize train --encoding') takes=() ;;
        'tissu tokenize train --on-bad') takes=(skip replace stop) ;;
        'tissu tokenize train --text-column') takes=() ;;
        'tissu tokenize import') takes=(@files @models) ;;
        'tissu tokenize import -*') takes=(-o --out --pattern --json -h --help) ;;
        'tissu tokenize import -o') takes=(@directories) ;;
        'tissu tokenize import --out') takes=(@directories) ;;
        'tissu tokenize import --pattern') takes=() ;;
        'tissu tokenize encode') takes=() ;;
        'tissu tokenize encode -*') takes=(-t --tokenizer --json -h --help) ;;
        'tissu tokenize encode -t') takes=(@models @files) ;;
        'tissu tokenize encode --tokenizer') takes=(@models @files) ;;
        'tissu tokenize decode') takes=() ;;
        'tissu tokenize decode -*') takes=(-t --tokenizer --json -h --help) ;;
        'tissu tokenize decode -t') takes=(@models @files) ;;
        'tissu tokenize decode --tokenizer') takes=(@models @files) ;;
        'tissu tokenize stats') takes=(@files) ;;
        'tissu tokenize stats -*') takes=(-t --tokenizer --json --encoding --on-bad --text-column -h --help) ;;
        'tissu tokenize stats -t') takes=(@models @files) ;;
        'tissu tokenize stats --tokenizer') takes=(@models @files) ;;
        'tissu tokenize stats --encoding') takes=() ;;
        'tissu tokenize stats --on-bad') takes=(skip replace stop) ;;
        'tissu tokenize stats --text-column') takes=() ;;
        'tissu tokenize compare') takes=(@files) ;;
        'tissu tokenize compare -*') takes=(-t --tokenizer --json -h --help) ;;
        'tissu tokenize compare -t') takes=(@models @files) ;;
        'tissu tokenize compare --tokenizer') takes=(@models @files) ;;
        'tissu tokenize show') takes=(@files) ;;
        'tissu tokenize show -*') takes=(-t --tokenizer --limit --ids --json --encoding --on-bad --text-column -h --help) ;;
        'tissu tokenize show -t') takes=(@models @files) ;;
        'tissu tokenize show --tokenizer') takes=(@models @files) ;;
        'tissu tokenize show --limit') takes=() ;;
        'tissu tokenize show --encoding') takes=() ;;
        'tissu tokenize show --on-bad') takes=(skip replace stop) ;;
        'tissu tokenize show --text-column') takes=() ;;
        'tissu runs') takes=(list show rm) ;;
        'tissu runs -*') takes=(-h --help) ;;
        'tissu runs list') takes=() ;;
        'tissu runs list -*') takes=(--json -h --help) ;;
        'tissu runs show') takes=(@runs @directories) ;;
        'tissu runs show -*') takes=(--json -h --help) ;;
        'tissu runs rm') takes=(@runs @directories) ;;
        'tissu runs rm -*') takes=(--yes -y -h --help) ;;
        'tissu chat') takes=(@models @files) ;;
        'tissu chat -*') takes=(-p --prompt --system --template --show-prompt --json --continue --session --follow --max-tokens --temperature --top-k --top-p --min-p --repetition-penalty --presence-penalty --frequency-penalty --no-repeat-ngram --logit-bias --ban-words --min-tokens --greedy --no-greedy --seed --stop --context --device --threads --plain --no-plain --history --no-history --theme --key-preset -h --help) ;;
        'tissu chat -p') takes=() ;;
        'tissu chat --prompt') takes=() ;;
        'tissu chat --system') takes=() ;;
        'tissu chat --template') takes=(@files) ;;
        'tissu chat --session') takes=() ;;
        'tissu chat --follow') takes=(@runs @directories) ;;
        'tissu chat --max-tokens') takes=() ;;
        'tissu chat --temperature') takes=() ;;
        'tissu chat --top-k') takes=() ;;
        'tissu chat --top-p') takes=() ;;
        'tissu chat --min-p') takes=() ;;
        'tissu chat --repetition-penalty') takes=() ;;
        'tissu chat --presence-penalty') takes=() ;;
        'tissu chat --frequency-penalty') takes=() ;;
        'tissu chat --no-repeat-ngram') takes=() ;;
        'tissu chat --logit-bias') takes=() ;;
        'tissu chat --ban-words') takes=() ;;
        'tissu chat --min-tokens') takes=() ;;
        'tissu chat --seed') takes=() ;;
        'tissu chat --stop') takes=() ;;
        'tissu chat --context') takes=() ;;
        'tissu chat --device') takes=(auto cpu cuda mps) ;;
        'tissu chat --threads') takes=() ;;
        'tissu chat --theme') takes=() ;;
        'tissu chat --key-preset') takes=(default enter-newline vim) ;;
        'tissu generate') takes=(@models @files) ;;
        'tissu generate -*') takes=(-p --prompt --json --prompts-file -o --out --resume --max-tokens --temperature --top-k --top-p --min-p --repetition-penalty --presence-penalty --frequency-penalty --no-repeat-ngram --logit-bias --ban-words --min-tokens --greedy --no-greedy --seed --stop --context --device --threads --batch-size -h --help) ;;
        'tissu generate -p') takes=() ;;
        'tissu generate --prompt') takes=() ;;
        'tissu generate --prompts-file') takes=(@files) ;;
        'tissu generate -o') takes=(@files) ;;
        'tissu generate --out') takes=(@files) ;;
        'tissu generate --max-tokens') takes=() ;;
        'tissu generate --temperature') takes=() ;;
        'tissu generate --top-k') takes=() ;;
        'tissu generate --top-p') takes=() ;;
        'tissu generate --min-p') takes=() ;;
        'tissu generate --repetition-penalty') takes=() ;;
        'tissu generate --presence-penalty') takes=() ;;
        'tissu generate --frequency-penalty') takes=() ;;
        'tissu generate --no-repeat-ngram') takes=() ;;
        'tissu generate --logit-bias') takes=() ;;
        'tissu generate --ban-words') takes=() ;;
        'tissu generate --min-tokens') takes=() ;;
        'tissu generate --seed') takes=() ;;
        'tissu generate --stop') takes=() ;;
        'tissu generate --context') takes=() ;;
        'tissu generate --device') takes=(auto cpu cuda mps) ;;
        'tissu generate --threads') takes=() ;;
        'tissu generate --batch-size') takes=() ;;
        'tissu eval') takes=(ppl suite harness adversarial compare errors leaks speed report) ;;
        'tissu eval -*') takes=(-h --help) ;;
        'tissu eval ppl') takes=(@files) ;;
        'tissu eval ppl -*') takes=(-m --model --stride --context --documents --json --device --threads --encoding --on-bad --text-column -h --help) ;;
        'tissu eval ppl -m') takes=(@models @files) ;;
        'tissu eval ppl --model') takes=(@models @files) ;;
        'tissu eval ppl --stride') takes=() ;;
        'tissu eval ppl --context') takes=() ;;
        'tissu eval ppl --documents') takes=() ;;
        'tissu eval ppl --device') takes=(auto cpu cuda mps) ;;
        'tissu eval ppl --threads') takes=() ;;
        'tissu eval ppl --encoding') takes=() ;;
        'tissu eval ppl --on-bad') takes=(skip replace stop) ;;
        'tissu eval ppl --text-column') takes=() ;;
        'tissu eval suite') takes=() ;;
        'tissu eval suite -*') takes=(-m --model --chat --no-chat --items --limit --seed --batch --allow-code --json --device --threads -h --help) ;;
        'tissu eval suite -m') takes=(@models @files) ;;
        'tissu eval suite --model') takes=(@models @files) ;;
        'tissu eval suite --limit') takes=() ;;
        'tissu eval suite --seed') takes=() ;;
        'tissu eval suite --batch') takes=() ;;
        'tissu eval suite --device') takes=(auto cpu cuda mps) ;;
        'tissu eval suite --threads') takes=() ;;
        'tissu eval harness') takes=() ;;
        'tissu eval harness -*') takes=(--tasks -m --model --json --include --shots --limit --batch-size --chat --no-chat --seed --device --threads -h --help) ;;
        'tissu eval harness --tasks') takes=() ;;
        'tissu eval harness -m') takes=(@models @files) ;;
        'tissu eval harness --model') takes=(@models @files) ;;
        'tissu eval harness --include') takes=() ;;
        'tissu eval harness --shots') takes=() ;;
        'tissu eval harness --limit') takes=() ;;
        'tissu eval harness --batch-size') takes=() ;;
        'tissu eval harness --seed') takes=() ;;
        'tissu eval harness --device') takes=(auto cpu cuda mps) ;;
        'tissu eval harness --threads') takes=() ;;
        'tissu eval adversarial') takes=() ;;
        'tissu eval adversarial -*') takes=(-m --model --kind --seed --batch --json --device --threads --svg --html --png -h --help) ;;
        'tissu eval adversarial -m') takes=(@models @files) ;;
        'tissu eval adversarial --model') takes=(@models @files) ;;
        'tissu eval adversarial --kind') takes=() ;;
        'tissu eval adversarial --seed') takes=() ;;
        'tissu eval adversarial --batch') takes=() ;;
        'tissu eval adversarial --device') takes=(auto cpu cuda mps) ;;
        'tissu eval adversarial --threads') takes=() ;;
        'tissu eval adversarial --svg') takes=(@files) ;;
        'tissu eval adversarial --html') takes=(@files) ;;
        'tissu eval adversarial --png') takes=(@files) ;;
        'tissu eval compare') takes=(@models @files) ;;
        'tissu eval compare -*') takes=(--data --stride --context --seed --json --suite --limit --chat --no-chat --allow-code --no-allow-code --device --threads --encoding --on-bad --text-column --svg --html --png -h --help) ;;
        'tissu eval compare --data') takes=(@files) ;;
        'tissu eval compare --stride') takes=() ;;
        'tissu eval compare --context') takes=() ;;
        'tissu eval compare --seed') takes=() ;;
        'tissu eval compare --suite') takes=() ;;
        'tissu eval compare --limit') takes=() ;;
        'tissu eval compare --device') takes=(auto cpu cuda mps) ;;
        'tissu eval compare --threads') takes=() ;;
        'tissu eval compare --encoding') takes=() ;;
        'tissu eval compare --on-bad') takes=(skip replace stop) ;;
        'tissu eval compare --text-column') takes=() ;;
        'tissu eval compare --svg') takes=(@files) ;;
        'tissu eval compare --html') takes=(@files) ;;
        'tissu eval compare --png') takes=(@files) ;;
        'tissu eval errors') takes=(@files) ;;
        'tissu eval errors -*') takes=(-m --model --top --passage -o --out --stride --context --json --device --threads --encoding --on-bad --text-column --svg --html --png -h --help) ;;
        'tissu eval errors -m') takes=(@models @files) ;;
        'tissu eval errors --model') takes=(@models @files) ;;
        'tissu eval errors --top') takes=() ;;
        'tissu eval errors --passage') takes=() ;;
        'tissu eval errors -o') takes=(@files) ;;
        'tissu eval errors --out') takes=(@files) ;;
        'tissu eval errors --stride') takes=() ;;
        'tissu eval errors --context') takes=() ;;
        'tissu eval errors --device') takes=(auto cpu cuda mps) ;;
        'tissu eval errors --threads') takes=() ;;
        'tissu eval errors --encoding') takes=() ;;
        'tissu eval errors --on-bad') takes=(skip replace stop) ;;
        'tissu eval errors --text-column') takes=() ;;
        'tissu eval errors --svg') takes=(@files) ;;
        'tissu eval errors --html') takes=(@files) ;;
        'tissu eval errors --png') takes=(@files) ;;
        'tissu eval leaks') takes=(@files) ;;
        'tissu eval leaks -*') takes=(--corpus -m --model --ngram --scores --no-scores --json --device --threads --encoding --on-bad --text-column -h --help) ;;
        'tissu eval leaks --corpus') takes=(@directories) ;;
        'tissu eval leaks -m') takes=(@models @files) ;;
        'tissu eval leaks --model') takes=(@models @files) ;;
        'tissu eval leaks --ngram') takes=() ;;
        'tissu eval leaks --device') takes=(auto cpu cuda mps) ;;
        'tissu eval leaks --threads') takes=() ;;
        'tissu eval leaks --encoding') takes=() ;;
        'tissu eval leaks --on-bad') takes=(skip replace stop) ;;
        'tissu eval leaks --text-column') takes=() ;;
        'tissu eval speed') takes=(@models @files) ;;
        'tissu eval speed -*') takes=(--against --json --batch --context --tokens --price-per-hour --ops --lut-size --device --threads -h --help) ;;
        'tissu eval speed --against') takes=(@files) ;;
        'tissu eval speed --batch') takes=() ;;
        'tissu eval speed --context') takes=() ;;
        'tissu eval speed --tokens') takes=() ;;
        'tissu eval speed --price-per-hour') takes=() ;;
        'tissu eval speed --ops') takes=() ;;
        'tissu eval speed --lut-size') takes=() ;;
        'tissu eval speed --device') takes=(auto cpu cuda mps) ;;
        'tissu eval speed --threads') takes=() ;;
        'tissu eval report') takes=(@models @files) ;;
        'tissu eval report -*') takes=(-o --out --readme --data --suite --adversarial --no-adversarial --errors --leaks --speed --no-speed --limit --seed --device --threads --encoding --on-bad --text-column -h --help) ;;
        'tissu eval report -o') takes=(@files) ;;
        'tissu eval report --out') takes=(@files) ;;
        'tissu eval report --readme') takes=(@files) ;;
        'tissu eval report --data') takes=(@files) ;;
        'tissu eval report --suite') takes=() ;;
        'tissu eval report --errors') takes=() ;;
        'tissu eval report --leaks') takes=(@files) ;;
        'tissu eval report --limit') takes=() ;;
        'tissu eval report --seed') takes=() ;;
        'tissu eval report --device') takes=(auto cpu cuda mps) ;;
        'tissu eval report --threads') takes=() ;;
        'tissu eval report --encoding') takes=() ;;
        'tissu eval report --on-bad') takes=(skip replace stop) ;;
        'tissu eval report --text-column') takes=() ;;
        'tissu inspect') takes=(tree weights diff model run why source schedule activations hist memory tokens quantization gradcheck attention lens explain experts) ;;
        'tissu inspect -*') takes=(-h --help) ;;
        'tissu inspect tree') takes=(@models @files) ;;
        'tissu inspect tree -*') takes=(--json -h --help) ;;
        'tissu inspect weights') takes=(@models @files) ;;
        'tissu inspect weights -*') takes=(--against --spectrum --no-spectrum --json --bins --rows --svg --html --png -h --help) ;;
        'tissu inspect weights --against') takes=(@models @files) ;;
        'tissu inspect weights --bins') takes=() ;;
        'tissu inspect weights --rows') takes=() ;;
        'tissu inspect weights --svg') takes=(@files) ;;
        'tissu inspect weights --html') takes=(@files) ;;
        'tissu inspect weights --png') takes=(@files) ;;
        'tissu inspect diff') takes=(@models @files) ;;
        'tissu inspect diff -*') takes=(--json --svg --html --png -h --help) ;;
        'tissu inspect diff --svg') takes=(@files) ;;
        'tissu inspect diff --html') takes=(@files) ;;
        'tissu inspect diff --png') takes=(@files) ;;
        'tissu inspect model') takes=(@models @files) ;;
        'tissu inspect model -*') takes=(--json -h --help) ;;
        'tissu inspect run') takes=(@runs @directories) ;;
        'tissu inspect run -*') takes=(--json -h --help) ;;
        'tissu inspect why') takes=(@runs @directories) ;;
        'tissu inspect why -*') takes=(--step --json -h --help) ;;
        'tissu inspect why --step') takes=() ;;
        'tissu inspect source') takes=(@models @files) ;;
        'tissu inspect source -*') takes=(--corpus --min --json --encoding --on-bad --text-column --svg --html --png -h --help) ;;
        'tissu inspect source --corpus') takes=(@directories) ;;
        'tissu inspect source --min') takes=() ;;
        'tissu inspect source --encoding') takes=() ;;
        'tissu inspect source --on-bad') takes=(skip replace stop) ;;
        'tissu inspect source --text-column') takes=() ;;
        'tissu inspect source --svg') takes=(@files) ;;
        'tissu inspect source --html') takes=(@files) ;;
        'tissu inspect source --png') takes=(@files) ;;
        'tissu inspect schedule') takes=() ;;
        'tissu inspect schedule -*') takes=(--steps --json --optimizer --lr --schedule --warmup --final-lr --decay-fraction --milestones --gamma --weight-decay --clip-value --clip-norm --ema -h --help) ;;
        'tissu inspect schedule --steps') takes=() ;;
        'tissu inspect schedule --optimizer') takes=(muon adamw rmsprop adam sgd) ;;
        'tissu inspect schedule --lr') takes=() ;;
        'tissu inspect schedule --schedule') takes=(cosine wsd linear step constant) ;;
        'tissu inspect schedule --warmup') takes=() ;;
        'tissu inspect schedule --final-lr') takes=() ;;
        'tissu inspect schedule --decay-fraction') takes=() ;;
        'tissu inspect schedule --milestones') takes=() ;;
        'tissu inspect schedule --gamma') takes=() ;;
        'tissu inspect schedule --weight-decay') takes=() ;;
        'tissu inspect schedule --clip-value') takes=() ;;
        'tissu inspect schedule --clip-norm') takes=() ;;
        'tissu inspect schedule --ema') takes=() ;;
        'tissu inspect activations') takes=(@models @files) ;;
        'tissu inspect activations -*') takes=(-p --prompt --text --layer --json --device --threads --encoding --on-bad --text-column --svg --html --png -h --help) ;;
        'tissu inspect activations -p') takes=() ;;
        'tissu inspect activations --prompt') takes=() ;;
        'tissu inspect activations --text') takes=(@files) ;;
        'tissu inspect activations --layer') takes=() ;;
        'tissu inspect activations --device') takes=(auto cpu cuda mps) ;;
        'tissu inspect activations --threads') takes=() ;;
        'tissu inspect activations --encoding') takes=() ;;
        'tissu inspect activations --on-bad') takes=(skip replace stop) ;;
        'tissu inspect activations --text-column') takes=() ;;
        'tissu inspect activations --svg') takes=(@files) ;;
        'tissu inspect activations --html') takes=(@files) ;;
        'tissu inspect activations --png') takes=(@files) ;;
        'tissu inspect hist') takes=(@runs @directories) ;;
        'tissu inspect hist -*') takes=(--layer --kind --dead-for --json --svg --html --png -h --help) ;;
        'tissu inspect hist --layer') takes=() ;;
        'tissu inspect hist --kind') takes=(weight grad activation) ;;
        'tissu inspect hist --dead-for') takes=() ;;
        'tissu inspect hist --svg') takes=(@files) ;;
        'tissu inspect hist --html') takes=(@files) ;;
        'tissu inspect hist --png') takes=(@files) ;;
        'tissu inspect memory') takes=(@models @files) ;;
        'tissu inspect memory -*') takes=(--context --batch --json --device --threads --svg --html --png -h --help) ;;
        'tissu inspect memory --context') takes=() ;;
        'tissu inspect memory --batch') takes=() ;;
        'tissu inspect memory --device') takes=(auto cpu cuda mps) ;;
        'tissu inspect memory --threads') takes=() ;;
        'tissu inspect memory --svg') takes=(@files) ;;
        'tissu inspect memory --html') takes=(@files) ;;
        'tissu inspect memory --png') takes=(@files) ;;
        'tissu inspect tokens') takes=(@models @files) ;;
        'tissu inspect tokens -*') takes=(--against --generated --samples --top --json --max-tokens --temperature --top-k --top-p --min-p --repetition-penalty --presence-penalty --frequency-penalty --no-repeat-ngram --logit-bias --ban-words --min-tokens --greedy --no-greedy --seed --stop --context --device --threads --encoding --on-bad --text-column --svg --html --png -h --help) ;;
        'tissu inspect tokens --against') takes=(@files) ;;
        'tissu inspect tokens --generated') takes=(@files) ;;
        'tissu inspect tokens --samples') takes=() ;;
        'tissu inspect tokens --top') takes=() ;;
        'tissu inspect tokens --max-tokens') takes=() ;;
        'tissu inspect tokens --temperature') takes=() ;;
        'tissu inspect tokens --top-k') takes=() ;;
        'tissu inspect tokens --top-p') takes=() ;;
        'tissu inspect tokens --min-p') takes=() ;;
        'tissu inspect tokens --repetition-penalty') takes=() ;;
        'tissu inspect tokens --presence-penalty') takes=() ;;
        'tissu inspect tokens --frequency-penalty') takes=() ;;
        'tissu inspect tokens --no-repeat-ngram') takes=() ;;
        'tissu inspect tokens --logit-bias') takes=() ;;
        'tissu inspect tokens --ban-words') takes=() ;;
        'tissu inspect tokens --min-tokens') takes=() ;;
        'tissu inspect tokens --seed') takes=() ;;
        'tissu inspect tokens --stop') takes=() ;;
        'tissu inspect tokens --context') takes=() ;;
        'tissu inspect tokens --device') takes=(auto cpu cuda mps) ;;
        'tissu inspect tokens --threads') takes=() ;;
        'tissu inspect tokens --encoding') takes=() ;;
        'tissu inspect tokens --on-bad') takes=(skip replace stop) ;;
        'tissu inspect tokens --text-column') takes=() ;;
        'tissu inspect tokens --svg') takes=(@files) ;;
        'tissu inspect tokens --html') takes=(@files) ;;
        'tissu inspect tokens --png') takes=(@files) ;;
        'tissu inspect quantization') takes=(@models @files) ;;
        'tissu inspect quantization -*') takes=(--bits --group --text --json --device --threads --encoding --on-bad --text-column -h --help) ;;
        'tissu inspect quantization --bits') takes=() ;;
        'tissu inspect quantization --group') takes=() ;;
        'tissu inspect quantization --text') takes=(@files) ;;
        'tissu inspect quantization --device') takes=(auto cpu cuda mps) ;;
        'tissu inspect quantization --threads') takes=() ;;
        'tissu inspect quantization --encoding') takes=() ;;
        'tissu inspect quantization --on-bad') takes=(skip replace stop) ;;
        'tissu inspect quantization --text-column') takes=() ;;
        'tissu inspect gradcheck') takes=() ;;
        'tissu inspect gradcheck -*') takes=(--module --json -h --help) ;;
        'tissu inspect gradcheck --module') takes=() ;;
        'tissu inspect attention') takes=(@models @files) ;;
        'tissu inspect attention -*') takes=(-p --prompt --json --from --to --layer --head --device --threads --svg --html --png -h --help) ;;
        'tissu inspect attention -p') takes=() ;;
        'tissu inspect attention --prompt') takes=() ;;
        'tissu inspect attention --from') takes=() ;;
        'tissu inspect attention --to') takes=() ;;
        'tissu inspect attention --layer') takes=() ;;
        'tissu inspect attention --head') takes=() ;;
        'tissu inspect attention --device') takes=(auto cpu cuda mps) ;;
        'tissu inspect attention --threads') takes=() ;;
        'tissu inspect attention --svg') takes=(@files) ;;
        'tissu inspect attention --html') takes=(@files) ;;
        'tissu inspect attention --png') takes=(@files) ;;
        'tissu inspect lens') takes=(@models @files) ;;
        'tissu inspect lens -*') takes=(-p --prompt --json --from --to --position --top --device --threads --svg --html --png -h --help) ;;
        'tissu inspect lens -p') takes=() ;;
        'tissu inspect lens --prompt') takes=() ;;
        'tissu inspect lens --from') takes=() ;;
        'tissu inspect lens --to') takes=() ;;
        'tissu inspect lens --position') takes=() ;;
        'tissu inspect lens --top') takes=() ;;
        'tissu inspect lens --device') takes=(auto cpu cuda mps) ;;
        'tissu inspect lens --threads') takes=() ;;
        'tissu inspect lens --svg') takes=(@files) ;;
        'tissu inspect lens --html') takes=(@files) ;;
        'tissu inspect lens --png') takes=(@files) ;;
        'tissu inspect explain') takes=(@models @files) ;;
        'tissu inspect explain -*') takes=(-p --prompt --target --json --method --by --neutral --samples --seed --device --threads --svg --html --png -h --help) ;;
        'tissu inspect explain -p') takes=() ;;
        'tissu inspect explain --prompt') takes=() ;;
        'tissu inspect explain --target') takes=() ;;
        'tissu inspect explain --method') takes=(shap lime ig) ;;
        'tissu inspect explain --by') takes=(word token) ;;
        'tissu inspect explain --neutral') takes=() ;;
        'tissu inspect explain --samples') takes=() ;;
        'tissu inspect explain --seed') takes=() ;;
        'tissu inspect explain --device') takes=(auto cpu cuda mps) ;;
        'tissu inspect explain --threads') takes=() ;;
        'tissu inspect explain --svg') takes=(@files) ;;
        'tissu inspect explain --html') takes=(@files) ;;
        'tissu inspect explain --png') takes=(@files) ;;
        'tissu inspect experts') takes=(@models @files) ;;
        'tissu inspect experts -*') takes=(--text -p --prompt --layer --json --device --threads --encoding --on-bad --text-column --svg --html --png -h --help) ;;
        'tissu inspect experts --text') takes=(@files) ;;
        'tissu inspect experts -p') takes=() ;;
        'tissu inspect experts --prompt') takes=() ;;
        'tissu inspect experts --layer') takes=() ;;
        'tissu inspect experts --device') takes=(auto cpu cuda mps) ;;
        'tissu inspect experts --threads') takes=() ;;
        'tissu inspect experts --encoding') takes=() ;;
        'tissu inspect experts --on-bad') takes=(skip replace stop) ;;
        'tissu inspect experts --text-column') takes=() ;;
        'tissu inspect experts --svg') takes=(@files) ;;
        'tissu inspect experts --html') takes=(@files) ;;
        'tissu inspect experts --png') takes=(@files) ;;
        'tissu quantize') takes=(@models @files) ;;
        'tissu quantize -*') takes=(-o --out --text --calib --json --bits --group --method --device --threads --encoding --on-bad --text-column -h --help) ;;
        'tissu quantize -o') takes=(@directories) ;;
        'tissu quantize --out') takes=(@directories) ;;
        'tissu quantize --text') takes=(@files) ;;
        'tissu quantize --calib') takes=(@files) ;;
        'tissu quantize --bits') takes=() ;;
        'tissu quantize --group') takes=() ;;
        'tissu quantize --method') takes=(rtn gptq awq) ;;
        'tissu quantize --device') takes=(auto cpu cuda mps) ;;
        'tissu quantize --threads') takes=() ;;
        'tissu quantize --encoding') takes=() ;;
        'tissu quantize --on-bad') takes=(skip replace stop) ;;
        'tissu quantize --text-column') takes=() ;;
        'tissu export') takes=(gguf hf npz onnx pt2 torchscript manifest) ;;
        'tissu export -*') takes=(-h --help) ;;
        'tissu export gguf') takes=(@models @files) ;;
        'tissu export gguf -*') takes=(--type -o --out --json -h --help) ;;
        'tissu export gguf --type') takes=(f32 f16 q8_0 q4_0 q4_k) ;;
        'tissu export gguf -o') takes=(@files) ;;
        'tissu export gguf --out') takes=(@files) ;;
        'tissu export hf') takes=(@models @files) ;;
        'tissu export hf -*') takes=(--type -o --out --json -h --help) ;;
        'tissu export hf --type') takes=(f32 f16 bf16) ;;
        'tissu export hf -o') takes=(@directories) ;;
        'tissu export hf --out') takes=(@directories) ;;
        'tissu export npz') takes=(@models @files) ;;
        'tissu export npz -*') takes=(--type -o --out --json -h --help) ;;
        'tissu export npz --type') takes=(f32 f16) ;;
        'tissu export npz -o') takes=(@directories) ;;
        'tissu export npz --out') takes=(@directories) ;;
        'tissu export onnx') takes=(@models @files) ;;
        'tissu export onnx -*') takes=(-o --out --json -h --help) ;;
        'tissu export onnx -o') takes=(@files) ;;
        'tissu export onnx --out') takes=(@files) ;;
        'tissu export pt2') takes=(@models @files) ;;
        'tissu export pt2 -*') takes=(-o --out --json -h --help) ;;
        'tissu export pt2 -o') takes=(@files) ;;
        'tissu export pt2 --out') takes=(@files) ;;
        'tissu export torchscript') takes=(@models @files) ;;
        'tissu export torchscript -*') takes=(-o --out --json -h --help) ;;
        'tissu export torchscript -o') takes=(@files) ;;
        'tissu export torchscript --out') takes=(@files) ;;
        'tissu export manifest') takes=(@models @files) ;;
        'tissu export manifest -*') takes=(-o --out --json -h --help) ;;
        'tissu export manifest -o') takes=(@files) ;;
        'tissu export manifest --out') takes=(@files) ;;
        'tissu models') takes=(list pull import scan show rm verify average) ;;
        'tissu models -*') takes=(-h --help) ;;
        'tissu models list') takes=() ;;
        'tissu models list -*') takes=(--json -h --help) ;;
        'tissu models pull') takes=(@known) ;;
        'tissu models pull -*') takes=(-o --out --json -h --help) ;;
        'tissu models pull -o') takes=() ;;
        'tissu models pull --out') takes=() ;;
        'tissu models import') takes=(@files) ;;
        'tissu models import -*') takes=(-o --out --copy --json -h --help) ;;
        'tissu models import -o') takes=() ;;
        'tissu models import --out') takes=() ;;
        'tissu models scan') takes=() ;;
        'tissu models scan -*') takes=(--json -h --help) ;;
        'tissu models show') takes=(@models @files) ;;
        'tissu models show -*') takes=(--json -h --help) ;;
        'tissu models rm') takes=(@stored) ;;
        'tissu models rm -*') takes=(--yes -y -h --help) ;;
        'tissu models verify') takes=(@models @files) ;;
        'tissu models verify -*') takes=(--json -h --help) ;;
        'tissu models average') takes=(@models @files) ;;
        'tissu models average -*') takes=(-o --out --json -h --help) ;;
        'tissu models average -o') takes=(@directories) ;;
        'tissu models average --out') takes=(@directories) ;;
        'tissu init') takes=(@directories) ;;
        'tissu init -*') takes=(-h --help) ;;
        'tissu config') takes=(show path validate) ;;
        'tissu config -*') takes=(-h --help) ;;
        'tissu config show') takes=() ;;
        'tissu config show -*') takes=(--origin --config --set --json -h --help) ;;
        'tissu config show --config') takes=(@files) ;;
        'tissu config show --set') takes=() ;;
        'tissu config path') takes=() ;;
        'tissu config path -*') takes=(--json -h --help) ;;
        'tissu config validate') takes=(@files) ;;
        'tissu config validate -*') takes=(-h --help) ;;
        'tissu doctor') takes=() ;;
        'tissu doctor -*') takes=(--gpus --procs --json -h --help) ;;
        'tissu doctor --gpus') takes=() ;;
        'tissu doctor --procs') takes=() ;;
        'tissu completions') takes=(bash zsh fish powershell) ;;
        'tissu completions -*') takes=(-h --help) ;;
        *) return 1 ;;
    esac
}

# What one source has that begins with the word; nothing of it is ever expanded.
_tissu_source() {
    local name
    case $1 in
        @files) compgen -f -- "$2" ;;
        @directories) compgen -d -- "$2" ;;
        *)
            command tissu __complete "${1#@}" 2>/dev/null | while IFS= read -r name; do
                [[ $name == "$2"* ]] && printf '%s\n' "$name"
            done
            ;;
    esac
}

_tissu() {
    local IFS=$' \t\n' rest=${COMP_LINE:0:COMP_POINT} gap part count=0
    local -a line takes
    # The words as they were typed: bash cuts them at = and : as well.
    for ((part = 0; part <= COMP_CWORD; part++)); do
        gap=${rest%%[![:space:]]*}
        rest=${rest#"$gap"}
        local word=${COMP_WORDS[part]}
        ((part == COMP_CWORD)) && word=$rest
        rest=${rest#"$word"}
        if [[ $part == 0 || -n $gap ]]; then
            line[count++]=$word
        else
            line[count - 1]+=$word
        fi
    done

    local command=tissu option= current=${line[count - 1]}
    for word in "${line[@]:1:count - 2}"; do
        if [[ -n $option ]]; then
            option=
        elif _tissu_words "$command $word"; then
            if [[ $word == -* ]]; then option=$word; else command+=" $word"; fi
        fi
    done
    if [[ -n $option ]]; then
        option=" $option"
    elif [[ $current == --*=* ]]; then
        option=" ${current%%=*}"
        current=${current#*=}
    elif [[ $current == -* ]]; then
        option=' -*'
    fi
    _tissu_words "$command$option" || return 0

    # What readline puts in place of the word begins after its last : that is not quoted.
    local plain=${current//\\/} cut=
    plain=${plain#[\"\']}
    if [[ $COMP_WORDBREAKS == *:* && $current != [\"\']* ]]; then
        part=${current//\\:/..}
        part=${part##*:}
        cut=${current:0:${#current}-${#part}}
        cut=${cut//\\/}
    fi
    COMPREPLY=()
    for word in "${takes[@]}"; do
        if [[ $word == @* ]]; then
            while IFS= read -r part; do
                COMPREPLY+=("${part#"$cut"}")
            done < <(_tissu_source "$word" "$plain")
        elif [[ $word == "$plain"* ]]; then
            COMPREPLY+=("$word")
        fi
    done
    # Readline quotes file names; that of bash 3.2 is not told which words are some.
    if [[ " ${takes[*]}" == *' @'* ]] && ! compopt -o filenames 2>/dev/null; then
        for part in "${!COMPREPLY[@]}"; do
            COMPREPLY[part]=$(printf %q "${COMPREPLY[part]}")
        done
    fi
}

complete -F _tissu tissu
